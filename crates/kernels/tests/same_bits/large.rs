//! Layers at the limits: so many inputs that they are added in parts, and as many as sums of integers hold.

use leat_kernels::{
    Activation, Bf16, DenseBf16, DenseF32, DenseI8, DenseReal, DenseU8, DenseU8Parts, Kernels, Output,
    Quantization, Rows, SparseF32, SparseU8, Weight,
};

use crate::{Stored, others, store};

/// Of a layer whose inputs are added in parts, by some instruction sets only when its weights are compact. Its sums wait in the output in
/// between.
const INPUTS: usize = 1_103;
const OUTPUTS: usize = 150;

fn value(at: usize) -> f32 {
    ((at * 37 + at / 11) % 201) as f32 / 64.0 - 1.5
}

fn codes() -> Vec<i8> {
    (0..INPUTS * OUTPUTS).map(|at| (at * 7_919 % 256) as u8 as i8).collect()
}

/// Ordinary rows, and one each with NaN, an infinity and subnormals in it.
fn input(rows: usize) -> Vec<f32> {
    let mut input: Vec<f32> = (0..rows * INPUTS).map(|at| value(at * 5 + 3)).collect();
    let odd = [f32::NAN, f32::MIN_POSITIVE / 8.0, f32::NEG_INFINITY, -f32::MIN_POSITIVE / 1024.0];
    for (row, odd) in input.chunks_mut(INPUTS).skip(1).zip(odd.into_iter().cycle()) {
        row[700] = odd;
        row[3] = f32::MIN_POSITIVE / 4.0;
    }
    input
}

fn check<W: Weight>(layer: &DenseReal<W>, weights: &[f32]) {
    let expanded = DenseF32::pack(weights, &bias(), Activation::Gelu);
    for rows in [1, 6, 7, 25] {
        let input = input(rows);
        let rows = Rows { values: &input, stride: INPUTS, count: rows };
        for target in [None, Some(Quantization { scale: 0.5, zero_point: 100 })] {
            let expected = run(Kernels::scalar(), &expanded, rows, target);
            assert!(run(Kernels::scalar(), layer, rows, target) == expected, "{} rows", rows.count);
            for kernels in others() {
                assert!(run(kernels, layer, rows, target) == expected, "{} rows, {kernels:?}", rows.count);
            }
        }
    }
}

fn run<W: Weight>(
    kernels: Kernels,
    layer: &DenseReal<W>,
    rows: Rows<'_, f32>,
    target: Option<Quantization>,
) -> Stored {
    store(rows.count * layer.stride(), target, |output| kernels.dense_real(layer, rows, output))
}

fn bias() -> Vec<f32> {
    (0..OUTPUTS).map(value).collect()
}

#[test]
fn many_inputs_of_f32_weights_give_the_bits_of_the_definition() {
    let weights: Vec<f32> = (0..INPUTS * OUTPUTS).map(value).collect();
    check(&DenseF32::pack(&weights, &bias(), Activation::Gelu), &weights);
}

#[test]
fn many_inputs_of_bf16_weights_give_the_bits_of_what_they_stand_for() {
    let halves: Vec<Bf16> =
        (0..INPUTS * OUTPUTS).map(|at| Bf16((value(at).to_bits() >> 16) as u16)).collect();
    let weights: Vec<f32> = halves.iter().map(|half| half.value(1.0)).collect();
    check(&DenseBf16::pack_scaled(&halves, &[1.0], &bias(), Activation::Gelu), &weights);
}

#[test]
fn many_inputs_of_int8_weights_give_the_bits_of_what_they_stand_for() {
    let codes = codes();
    let scales: Vec<f32> = (0..OUTPUTS).map(|output| 1e-3 * (output + 1) as f32).collect();
    let weights: Vec<f32> =
        codes.iter().enumerate().map(|(at, code)| code.value(scales[at / INPUTS])).collect();
    check(&DenseI8::pack_scaled(&codes, &scales, &bias(), Activation::Gelu), &weights);
}

/// Subnormal and NaN weights stand for themselves.
#[test]
fn odd_bf16_weights_give_the_bits_of_what_they_stand_for() {
    let odd = [0x0001, 0x8001, 0x7fc0, 0x7f80, 0xff80, 0x8000, 0x0080, 0x3f80];
    let halves: Vec<Bf16> = odd.iter().cycle().take(INPUTS * OUTPUTS).map(|&bits| Bf16(bits)).collect();
    let weights: Vec<f32> = halves.iter().map(|half| half.value(1.0)).collect();
    check(&DenseBf16::pack_scaled(&halves, &[1.0], &bias(), Activation::Gelu), &weights);
}

/// Rows of 4096 bytes are moved apart; every layer of so many outputs writes them alike, and nothing in between.
#[test]
fn rows_that_are_moved_apart_hold_what_the_definition_gives() {
    const WIDE: usize = 1024;
    let weights: Vec<f32> = (0..WIDE * 20).map(|at| if at % 3 == 0 { value(at) } else { 0.0 }).collect();
    let bias: Vec<f32> = (0..WIDE).map(value).collect();
    let dense = DenseF32::pack(&weights, &bias, Activation::Relu);
    let sparse = SparseF32::pack(&weights, &bias, Activation::Relu);
    assert!(dense.stride() > WIDE && sparse.stride() == dense.stride());
    let values: Vec<f32> = (0..40 * 20).map(value).collect();
    let rows = Rows { values: &values, stride: 20, count: 40 };
    let expected = run(Kernels::scalar(), &dense, rows, None);
    for kernels in Kernels::available() {
        assert!(run(kernels, &dense, rows, None) == expected, "{kernels:?}");
        let stored = store(rows.count * sparse.stride(), None, |output| {
            kernels.sparse_f32(&sparse, rows, output, &mut vec![0.0; sparse.workspace()]);
        });
        assert!(stored == expected, "{kernels:?}");
    }
}

#[test]
fn sums_of_integers_are_exact_for_as_many_inputs_as_a_layer_may_have() {
    let inputs = DenseU8::INPUTS_MAX;
    for (code, weight) in [(255, -128), (255, 127), (255, 64), (255, -64), (255, 32), (255, -32)] {
        let codes = vec![weight; inputs];
        let input = Quantization { scale: 1.0, zero_point: 0 };
        let activation = Activation::Identity;
        let parts = DenseU8Parts { codes: &codes, scales: &[1.0], bias: &[0.5], input, activation };
        let exact = i64::from(code) * i64::from(weight) * inputs as i64;
        let exact = (exact as f64 + 0.5) as f32;
        for kernels in Kernels::available() {
            let (dense, sparse) = (DenseU8::pack(&parts, kernels), SparseU8::pack(&parts, kernels));
            for count in [1, 17] {
                let values = vec![code; count * dense.padded_inputs()];
                let rows = Rows { values: &values, stride: dense.padded_inputs(), count };
                let mut out = vec![0.0; count * dense.stride()];
                let mut workspace = vec![0; sparse.workspace().max(dense.workspace(count))];
                kernels.dense_u8(&dense, rows, Output::Values(&mut out), &mut workspace);
                assert!(out.iter().step_by(dense.stride()).all(|&y| y == exact), "{weight} on {kernels:?}");
                out.fill(0.0);
                kernels.sparse_u8(&sparse, rows, Output::Values(&mut out), &mut workspace);
                assert!(out.iter().step_by(dense.stride()).all(|&y| y == exact), "{weight} on {kernels:?}");
            }
        }
    }
}
