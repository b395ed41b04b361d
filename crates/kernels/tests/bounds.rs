//! Every shape of a tile on rows that end where their last value does: what is read or written beyond is seen by Miri.
#![allow(clippy::expect_used, missing_docs, reason = "tests")]

#[path = "same_bits/stored.rs"]
mod stored;

use leat_kernels::{
    Activation, Bf16, DenseBf16, DenseF32, DenseI8, DenseReal, DenseU8, DenseU8Parts, Kernels, PANEL,
    Quantization, Rows, SparseF32, SparseU8, Weight,
};

use stored::{others, store};

/// So many panels meet every width of a tile of six sums: four, two and one.
const PANELS: [usize; 3] = [1, 2, 5];
/// Around the four steps that a loop makes at once.
const INPUTS: [usize; 2] = [1, 9];
/// Seven are two tiles of six sums.
const ROWS: [usize; 5] = [1, 2, 3, 5, 7];

const CODED: Option<Quantization> = Some(Quantization { scale: 0.25, zero_point: 100 });

/// How many values there are between two rows.
const GAP: usize = 3;

fn value(at: usize) -> f32 {
    (at * 37 % 19) as f32 / 4.0 - 2.0
}

fn code(at: usize) -> i8 {
    (at * 7_919 % 256) as u8 as i8
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(value).collect()
}

fn codes(count: usize) -> Vec<i8> {
    (0..count).map(code).collect()
}

/// As many values as rows take of which the last one ends before its stride.
fn len(rows: usize, width: usize) -> usize {
    (rows - 1) * (width + GAP) + width
}

fn real<W: Weight>(layer: &DenseReal<W>, rows: usize, target: Option<Quantization>) {
    let input = values(len(rows, layer.inputs()));
    let input = Rows { values: &input, stride: layer.inputs() + GAP, count: rows };
    let run = |kernels: Kernels| {
        store(rows * layer.stride(), target, |output| kernels.dense_real(layer, input, output))
    };
    let expected = run(Kernels::scalar());
    for kernels in others() {
        assert_eq!(run(kernels), expected, "{rows} rows of {}, {kernels:?}", layer.inputs());
    }
}

fn each_shape(mut check: impl FnMut(usize, usize)) {
    for panels in PANELS {
        for inputs in INPUTS {
            check(inputs, panels * PANEL - 2);
        }
    }
}

#[test]
fn tiles_of_f32_stay_within_their_rows() {
    each_shape(|inputs, outputs| {
        let layer = DenseF32::pack(&values(inputs * outputs), &values(outputs), Activation::Relu);
        for (rows, target) in ROWS.into_iter().zip([None, CODED].into_iter().cycle()) {
            real(&layer, rows, target);
        }
    });
}

/// A loop makes sixteen steps at once for a few rows of several panels, and for so many rows that they make sixteen tiles of six sums.
#[test]
fn many_steps_at_once_stay_within_their_rows() {
    for (rows, inputs, outputs) in [(1, 37, 5 * PANEL), (3, 21, 2 * PANEL), (91, 21, PANEL - 2)] {
        let layer = DenseF32::pack(&values(inputs * outputs), &values(outputs), Activation::Relu);
        real(&layer, rows, None);
        real(&layer, rows, CODED);
    }
}

#[test]
fn tiles_of_smaller_weights_stay_within_their_rows() {
    each_shape(|inputs, outputs| {
        let halves: Vec<Bf16> =
            values(inputs * outputs).iter().map(|value| Bf16((value.to_bits() >> 16) as u16)).collect();
        let bias = values(outputs);
        let halves = DenseBf16::pack_scaled(&halves, &[1.0], &bias, Activation::Identity);
        let codes = DenseI8::pack_scaled(&codes(inputs * outputs), &bias, &bias, Activation::Identity);
        for rows in [1, 7] {
            real(&halves, rows, None);
            real(&codes, rows, None);
        }
    });
}

/// A few inputs more than a part has.
#[test]
fn parts_of_many_inputs_stay_within_their_rows() {
    let (inputs, outputs, rows) = (1_026, PANEL, 7);
    let weights = values(inputs * outputs);
    let halves: Vec<Bf16> = weights.iter().map(|value| Bf16((value.to_bits() >> 16) as u16)).collect();
    real(&DenseBf16::pack_scaled(&halves, &[1.0], &values(outputs), Activation::Identity), rows, None);
}

fn parts<'a>(codes: &'a [i8], bias: &'a [f32]) -> DenseU8Parts<'a> {
    let input = Quantization { scale: 0.01, zero_point: 7 };
    DenseU8Parts { codes, scales: &[0.5], bias, input, activation: Activation::Identity }
}

/// With all codes, and with codes so small that pairs of their products fit 16 bits, or two such pairs.
#[test]
fn tiles_of_integers_stay_within_their_rows() {
    each_shape(|inputs, outputs| {
        let (all, bias) = (codes(inputs * outputs), values(outputs));
        let parts_of = |part: i8| all.iter().map(|code| code / part).collect::<Vec<_>>();
        for codes in [parts_of(1), parts_of(2), parts_of(4)] {
            let pack = |kernels: Kernels| (kernels, DenseU8::pack(&parts(&codes, &bias), kernels));
            let (scalar, others) = (pack(Kernels::scalar()), others().map(pack).collect::<Vec<_>>());
            for (rows, target) in ROWS.into_iter().zip([None, CODED].into_iter().cycle()) {
                let width = scalar.1.padded_inputs();
                let input: Vec<u8> = (0..len(rows, width)).map(|at| code(at).cast_unsigned()).collect();
                let input = Rows { values: &input, stride: width + GAP, count: rows };
                let run = |(kernels, layer): &(Kernels, DenseU8)| {
                    let mut workspace = vec![0xaa; layer.workspace(rows)];
                    store(rows * layer.stride(), target, |output| {
                        kernels.dense_u8(layer, input, output, &mut workspace);
                    })
                };
                let expected = run(&scalar);
                for other in &others {
                    assert_eq!(run(other), expected, "{rows} rows of {inputs}, {:?}", other.0);
                }
            }
        }
    });
}

#[test]
fn layers_with_few_weights_stay_within_their_rows() {
    for (inputs, outputs, rows) in [(1, 1, 1), (4, 14, 17), (5, 17, 33)] {
        let keep = |at: usize| at.is_multiple_of(3) || at + 1 == inputs * outputs;
        let weights: Vec<f32> =
            (0..inputs * outputs).map(|at| if keep(at) { value(at) + 5.0 } else { 0.0 }).collect();
        let codes: Vec<i8> = (0..inputs * outputs).map(|at| if keep(at) { code(at) } else { 0 }).collect();
        let bias = values(outputs);
        let real = SparseF32::pack(&weights, &bias, Activation::Identity);
        let input = values(len(rows, inputs));
        let input = Rows { values: &input, stride: inputs + GAP, count: rows };
        for target in [None, CODED] {
            let run = |kernels: Kernels| {
                let mut workspace = vec![f32::NAN; real.workspace()];
                store(rows * real.stride(), target, |output| {
                    kernels.sparse_f32(&real, input, output, &mut workspace);
                })
            };
            let expected = run(Kernels::scalar());
            for kernels in others() {
                assert_eq!(run(kernels), expected, "{rows} rows of {inputs}, {kernels:?}");
            }
        }
        let width = inputs.next_multiple_of(4);
        let input: Vec<u8> = (0..len(rows, width)).map(|at| code(at).cast_unsigned()).collect();
        let input = Rows { values: &input, stride: width + GAP, count: rows };
        for target in [None, CODED] {
            let run = |kernels: Kernels| {
                let layer = SparseU8::pack(&parts(&codes, &bias), kernels);
                let mut workspace = vec![0xaa; layer.workspace()];
                store(rows * layer.stride(), target, |output| {
                    kernels.sparse_u8(&layer, input, output, &mut workspace);
                })
            };
            let expected = run(Kernels::scalar());
            for kernels in others() {
                assert_eq!(run(kernels), expected, "{rows} rows of {inputs}, {kernels:?}");
            }
        }
    }
}

#[test]
fn lists_of_any_length_are_gone_through_within_their_bounds() {
    for count in [0, 1, 15, 16, 17, 35] {
        let input = values(count);
        for kernels in Kernels::available() {
            let mut codes = vec![7; count];
            kernels.quantize(&input, CODED.expect("a target"), &mut codes).expect("finite");
            assert_eq!(kernels.first_not_finite(&input), None);
            if count > 0 {
                let mut out = vec![7.0; 2 * count];
                let twice = [input.as_slice(), &input].concat();
                kernels.softmax(Rows { values: &twice, stride: count, count: 2 }, count, &mut out);
                let preparation = leat_kernels::Preparation::default()
                    .with_impute(input.clone())
                    .with_standardise(input.clone(), vec![2.0; count]);
                kernels.prepare(&preparation, count, &twice, &mut out).expect("finite");
            }
        }
    }
}

#[test]
fn peaks_are_counted() {
    for kernels in Kernels::available() {
        assert_eq!(kernels.peak_f32(5) > 0, kernels.name() != "scalar");
        assert_eq!(kernels.peak_u8(5) > 0, kernels.name() != "scalar");
    }
}
