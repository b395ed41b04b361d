//! Lengths are checked before a kernel runs, also those whose products wrap round.

use std::panic::{AssertUnwindSafe, catch_unwind};

use leat_kernels::{
    Activation, DenseF32, DenseU8, DenseU8Parts, Kernels, Output, Quantization, Rows, SparseF32, SparseU8,
};

/// So many values are in a row that goes in and in one that comes out.
const WIDTH: usize = 64;
/// `COUNT · WIDTH` is `WIDTH` in 64 bits, and so is what the last row ends at.
const COUNT: usize = (1 << (usize::BITS - 6)) + 1;

/// What a call said that panicked.
fn refused(call: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("a refusal");
    panic.downcast::<&str>().map_or_else(|_| "another panic".to_owned(), |text| (*text).to_owned())
}

fn parts(bias: &[f32; WIDTH]) -> DenseU8Parts<'_> {
    let input = Quantization { scale: 1.0, zero_point: 0 };
    let activation = Activation::Identity;
    DenseU8Parts { codes: &[1; WIDTH * WIDTH], scales: &[1.0], bias, input, activation }
}

#[test]
fn as_many_rows_as_no_memory_holds_are_refused() {
    let (weights, bias) = ([1.0; WIDTH * WIDTH], [0.0; WIDTH]);
    let (values, codes) = ([1.0; 2 * WIDTH], [1; 2 * WIDTH]);
    let (values, codes) = (
        Rows { values: &values, stride: WIDTH, count: COUNT },
        Rows { values: &codes, stride: WIDTH, count: COUNT },
    );
    for kernels in Kernels::available() {
        let mut place = [0.0; 2 * WIDTH];
        let (mut memory, mut bytes) = (vec![0.0; 1 << 16], vec![0; 1 << 16]);
        let short = "input rows are shorter than the layer's";
        let dense = DenseF32::pack(&weights, &bias, Activation::Identity);
        let text = refused(|| kernels.dense_real(&dense, values, Output::Values(&mut place)));
        assert!(text.starts_with(short), "{text}, {kernels:?}");
        let sparse = SparseF32::pack(&weights, &bias, Activation::Identity);
        let text = refused(|| kernels.sparse_f32(&sparse, values, Output::Values(&mut place), &mut memory));
        assert!(text.starts_with(short), "{text}, {kernels:?}");
        let dense = DenseU8::pack(&parts(&bias), kernels);
        let text = refused(|| kernels.dense_u8(&dense, codes, Output::Values(&mut place), &mut bytes));
        let is_about_length = text.starts_with(short) || text == "the workspace is too small";
        assert!(is_about_length, "{text}, {kernels:?}");
        let sparse = SparseU8::pack(&parts(&bias), kernels);
        let text = refused(|| kernels.sparse_u8(&sparse, codes, Output::Values(&mut place), &mut bytes));
        assert!(text.starts_with(short), "{text}, {kernels:?}");
        let text = refused(|| kernels.softmax(values, WIDTH, &mut place[..WIDTH]));
        assert!(text.starts_with("rows of logits are shorter"), "{text}, {kernels:?}");
    }
}

/// Rows that overlap need no more values, so that only the output is too short.
#[test]
fn as_many_rows_as_no_memory_takes_are_refused() {
    let bias = [0.0; WIDTH];
    let few = |count| Rows { values: &[1.0; 4 * WIDTH][..], stride: WIDTH, count };
    for kernels in Kernels::available() {
        let dense = DenseF32::pack(&[1.0; WIDTH * WIDTH], &bias, Activation::Identity);
        let mut place = [0.0; 4 * WIDTH];
        kernels.dense_real(&dense, few(4), Output::Values(&mut place));
        let text = refused(|| kernels.dense_real(&dense, few(4), Output::Values(&mut place[1..])));
        assert_eq!(text, "output is too short for the rows");
        let text = refused(|| kernels.dense_real(&dense, few(5), Output::Values(&mut place)));
        assert_eq!(text, "input rows are shorter than the layer's inputs");
    }
}

/// No layer was ever packed for so many rows, but anybody may ask.
#[test]
fn the_workspace_of_too_many_rows_is_more_than_there_is() {
    for kernels in Kernels::available() {
        let layer = DenseU8::pack(&parts(&[0.0; WIDTH]), kernels);
        let needed = layer.workspace(COUNT);
        assert!(needed == 0 || needed == usize::MAX, "{needed} bytes, {kernels:?}");
    }
}
