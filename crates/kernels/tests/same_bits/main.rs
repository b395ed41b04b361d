//! Every set of kernels gives the bits of the scalar definition, over odd lengths and extreme values.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

mod large;
mod lengths;
mod panels;
mod stored;

use leat_kernels::{
    Activation, Bf16, DenseBf16, DenseF32, DenseI8, DenseReal, DenseU8, DenseU8Parts, Kernels, Output,
    Preparation, Quantization, Rows, SparseF32, SparseU8, Weight,
};
use proptest::collection::vec;
use proptest::prelude::*;
use stored::{Stored, bits, others, store};

const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::Gelu];

/// Ordinary values most of the time; else zeros of both signs, subnormals, the largest, infinities and NaN.
fn wild() -> BoxedStrategy<f32> {
    prop_oneof![8 => -4.0_f32..4.0, 1 => proptest::num::f32::ANY, 1 => Just(-0.0), 1 => Just(f32::MIN_POSITIVE / 4.0)]
    .boxed()
}

fn finite() -> BoxedStrategy<f32> {
    prop_oneof![8 => -4.0_f32..4.0, 1 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO]
    .boxed()
}

fn activation() -> impl Strategy<Value = Activation> {
    proptest::sample::select(&ACTIVATIONS[..])
}

fn quantization() -> impl Strategy<Value = Quantization> {
    (prop_oneof![1e-3_f32..10.0, Just(f32::MIN_POSITIVE), Just(f32::MAX)], any::<u8>())
        .prop_map(|(scale, zero_point)| Quantization { scale, zero_point })
}

/// Either zero becomes the positive one.
fn without_signs_of_zeros(stored: Stored) -> Stored {
    match stored {
        Stored::Values(values) => {
            Stored::Values(values.into_iter().map(|bits| (f32::from_bits(bits) + 0.0).to_bits()).collect())
        }
        codes @ Stored::Codes(_) => codes,
    }
}

#[derive(Debug)]
struct SparseCase {
    dense: DenseF32,
    sparse: SparseF32,
    rows: usize,
    stride: usize,
    input: Vec<f32>,
}

fn sparse_case() -> impl Strategy<Value = SparseCase> {
    let weight =
        || prop_oneof![4 => Just(0.0_f32), 1 => -4.0_f32..4.0, 1 => Just(-0.0), 1 => Just(f32::MIN_POSITIVE)];
    (1_usize..70, 1_usize..50, 1_usize..52, 0_usize..3).prop_flat_map(move |(inputs, outputs, rows, gap)| {
        let parts = (vec(weight(), inputs * outputs), vec(finite(), outputs), activation());
        let stride = inputs + gap;
        (parts, vec(finite(), rows * stride)).prop_map(move |((weights, bias, activation), input)| {
            SparseCase {
                dense: DenseF32::pack(&weights, &bias, activation),
                sparse: SparseF32::pack(&weights, &bias, activation),
                rows,
                stride,
                input,
            }
        })
    })
}

#[derive(Debug)]
struct RealCase {
    layer: DenseF32,
    rows: usize,
    stride: usize,
    input: Vec<f32>,
    target: Option<Quantization>,
}

/// Some batches are so tall that a tile takes many steps at once.
fn real_case(value: BoxedStrategy<f32>) -> impl Strategy<Value = RealCase> {
    let low = (1_usize..40, 1_usize..150, 1_usize..26, 0_usize..3);
    let tall = (1_usize..60, 1_usize..36, 90_usize..130, 0_usize..3);
    prop_oneof![2 => low, 1 => tall].prop_flat_map(move |(inputs, outputs, rows, gap)| {
        let layer = (vec(value.clone(), inputs * outputs), vec(value.clone(), outputs), activation())
            .prop_map(|(weights, bias, activation)| DenseF32::pack(&weights, &bias, activation));
        let stride = inputs + gap;
        (layer, vec(value.clone(), rows * stride), proptest::option::of(quantization()))
            .prop_map(move |(layer, input, target)| RealCase { layer, rows, stride, input, target })
    })
}

fn run_real(kernels: Kernels, case: &RealCase, rows: std::ops::Range<usize>) -> Stored {
    let input = &case.input[rows.start * case.stride..rows.end * case.stride];
    store(rows.len() * case.layer.stride(), case.target, |output| {
        let rows = Rows { values: input, stride: case.stride, count: rows.len() };
        kernels.dense_real(&case.layer, rows, output);
    })
}

/// What a layer is packed from: each set of kernels may want its weights in another order.
#[derive(Debug)]
struct IntegerLayer {
    codes: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    input: Quantization,
    activation: Activation,
}

impl IntegerLayer {
    fn pack(&self, kernels: Kernels) -> DenseU8 {
        self.parts(|parts| DenseU8::pack(&parts, kernels))
    }

    fn parts<T>(&self, pack: impl FnOnce(DenseU8Parts<'_>) -> T) -> T {
        let Self { codes, scales, bias, input, activation } = self;
        pack(DenseU8Parts { codes, scales, bias, input: *input, activation: *activation })
    }
}

#[derive(Debug)]
struct IntegerCase {
    layer: IntegerLayer,
    rows: usize,
    stride: usize,
    input: Vec<u8>,
    target: Option<Quantization>,
}

fn code() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), Just(255), Just(0)]
}

fn weight_code() -> impl Strategy<Value = i8> {
    prop_oneof![any::<i8>(), Just(127), Just(-128)]
}

/// Some layers are longer than the 64 inputs of a tile, and some batches larger than its rows.
fn integer_case() -> impl Strategy<Value = IntegerCase> {
    integer_case_of(weight_code().boxed())
}

fn integer_case_of(weight: BoxedStrategy<i8>) -> impl Strategy<Value = IntegerCase> {
    let small = (1_usize..40, 1_usize..150, 1_usize..26, 0_usize..3);
    let large = (60_usize..200, 1_usize..40, 14_usize..70, 0_usize..3);
    prop_oneof![small, large].prop_flat_map(move |(inputs, outputs, rows, gap)| {
        let scales = prop_oneof![vec(1e-4_f32..1.0, 1), vec(1e-4_f32..1.0, outputs)];
        let codes = prop_oneof![
            vec(weight.clone(), inputs * outputs),
            vec(weight.clone(), inputs * outputs).prop_map(move |codes| with_fitting_pairs(codes, inputs)),
            (vec(weight.clone(), inputs * outputs), 2_i8..5).prop_map(with_small_codes),
        ];
        let parts = (codes, scales, vec(finite(), outputs));
        let layer =
            (parts, quantization(), activation()).prop_map(|((codes, scales, bias), input, activation)| {
                IntegerLayer { codes, scales, bias, input, activation }
            });
        let stride = inputs.next_multiple_of(4) + gap;
        (layer, vec(code(), rows * stride), proptest::option::of(quantization()))
            .prop_map(move |(layer, input, target)| IntegerCase { layer, rows, stride, input, target })
    })
}

/// Halves neighbours of one sign whose sum is beyond 128: some kernels take a shorter way where no row has such neighbours.
fn with_fitting_pairs(mut codes: Vec<i8>, inputs: usize) -> Vec<i8> {
    for row in codes.chunks_mut(inputs) {
        for pair in row.as_chunks_mut::<2>().0 {
            let [first, second] = pair.map(i32::from);
            if first.signum() == second.signum() && (first + second).abs() > 128 {
                *pair = pair.map(|code| code / 2);
            }
        }
    }
    codes
}

/// Some kernels take a shorter way where also the pairs of several blocks fit together: all do with a quarter, some with a third.
fn with_small_codes((codes, part): (Vec<i8>, i8)) -> Vec<i8> {
    codes.into_iter().map(|code| code / part).collect()
}

fn run_integer(kernels: Kernels, case: &IntegerCase, rows: std::ops::Range<usize>) -> Stored {
    let input = &case.input[rows.start * case.stride..rows.end * case.stride];
    let layer = case.layer.pack(kernels);
    let mut workspace = vec![0xaa; layer.workspace(rows.len())];
    store(rows.len() * layer.stride(), case.target, |output| {
        let rows = Rows { values: input, stride: case.stride, count: rows.len() };
        kernels.dense_u8(&layer, rows, output, &mut workspace);
    })
}

/// The rows one by one, put together.
fn one_by_one(rows: usize, run: impl Fn(std::ops::Range<usize>) -> Stored) -> Stored {
    let join = |all: Option<Stored>, next| match (all, next) {
        (None, next) => Some(next),
        (Some(Stored::Values(mut all)), Stored::Values(next)) => {
            all.extend(next);
            Some(Stored::Values(all))
        }
        (Some(Stored::Codes(mut all)), Stored::Codes(next)) => {
            all.extend(next);
            Some(Stored::Codes(all))
        }
        _ => panic!("rows are stored in one way"),
    };
    (0..rows).map(|row| run(row..row + 1)).fold(None, join).expect("at least one row")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_f32_gives_the_bits_of_the_definition(case in real_case(wild())) {
        let expected = run_real(Kernels::scalar(), &case, 0..case.rows);
        for kernels in others() {
            prop_assert_eq!(&run_real(kernels, &case, 0..case.rows), &expected);
        }
    }

    #[test]
    fn dense_f32_rows_do_not_depend_on_the_rows_beside_them(case in real_case(finite())) {
        for kernels in Kernels::available() {
            let together = run_real(kernels, &case, 0..case.rows);
            prop_assert_eq!(together, one_by_one(case.rows, |rows| run_real(kernels, &case, rows)));
        }
    }

    #[test]
    fn smaller_weights_give_the_bits_of_those_they_stand_for(
        codes in vec(weight_code(), 1..600), outputs in 1_usize..40, rows in 1_usize..20,
        scale in 1e-3_f32..2.0, seed in finite(), target in proptest::option::of(quantization()),
    ) {
        let inputs = codes.len().div_ceil(outputs);
        let codes: Vec<i8> = codes.iter().copied().cycle().take(inputs * outputs).collect();
        let halves: Vec<Bf16> = codes.iter().map(|&code| Bf16((f32::from(code).to_bits() >> 16) as u16)).collect();
        let scales: Vec<f32> = (0..outputs).map(|output| scale * (output + 1) as f32).collect();
        let bias = vec![0.25; outputs];
        let input: Vec<f32> = (0..rows * inputs).map(|at| seed * (at % 7) as f32 - 1.0).collect();
        let rows = Rows { values: &input, stride: inputs, count: rows };
        fn run<W: Weight>(kernels: Kernels, layer: &DenseReal<W>, rows: Rows<'_, f32>, target: Option<Quantization>) -> Stored {
            store(rows.count * layer.stride(), target, |output| kernels.dense_real(layer, rows, output))
        }
        let activation = Activation::Relu;
        let expanded = |scale: &dyn Fn(usize) -> f32| -> Vec<f32> {
            codes.iter().enumerate().map(|(at, &code)| f32::from(code) * scale(at / inputs)).collect()
        };
        let plain = DenseF32::pack(&expanded(&|_| 1.0), &bias, activation);
        let scaled = DenseF32::pack(&expanded(&|output| scales[output]), &bias, activation);
        let (plain, scaled) =
            (run(Kernels::scalar(), &plain, rows, target), run(Kernels::scalar(), &scaled, rows, target));
        let as_halves = DenseBf16::pack_scaled(&halves, &[1.0], &bias, activation);
        let as_codes = DenseI8::pack_scaled(&codes, &scales, &bias, activation);
        for kernels in Kernels::available() {
            prop_assert_eq!(&run(kernels, &as_halves, rows, target), &plain);
            prop_assert_eq!(&run(kernels, &as_codes, rows, target), &scaled);
        }
    }

    #[test]
    fn sparse_f32_gives_the_bits_of_the_definition_and_the_numbers_of_the_dense_layer(
        case in sparse_case(), target in proptest::option::of(quantization()),
    ) {
        let run = |kernels: Kernels| {
            let mut workspace = vec![f32::NAN; case.sparse.workspace()];
            store(case.rows * case.sparse.stride(), target, |output| {
                let rows = Rows { values: &case.input, stride: case.stride, count: case.rows };
                kernels.sparse_f32(&case.sparse, rows, output, &mut workspace);
            })
        };
        let expected = run(Kernels::scalar());
        for kernels in others() {
            prop_assert_eq!(&run(kernels), &expected);
        }
        let dense = store(case.rows * case.sparse.stride(), target, |output| {
            let rows = Rows { values: &case.input, stride: case.stride, count: case.rows };
            Kernels::scalar().dense_real(&case.dense, rows, output);
        });
        prop_assert_eq!(without_signs_of_zeros(dense), without_signs_of_zeros(expected));
    }

    #[test]
    fn sparse_u8_gives_the_bits_of_the_dense_layer(
        case in integer_case_of(prop_oneof![12 => Just(0), 1 => weight_code()].boxed()),
    ) {
        let expected = run_integer(Kernels::scalar(), &case, 0..case.rows);
        for kernels in Kernels::available() {
            let layer = case.layer.parts(|parts| SparseU8::pack(&parts, kernels));
            let mut workspace = vec![0xaa; layer.workspace()];
            let stored = store(case.rows * layer.stride(), case.target, |output| {
                let rows = Rows { values: &case.input, stride: case.stride, count: case.rows };
                kernels.sparse_u8(&layer, rows, output, &mut workspace);
            });
            prop_assert_eq!(&stored, &expected);
        }
    }

    #[test]
    fn dense_u8_gives_the_bits_of_the_definition(case in integer_case()) {
        let expected = run_integer(Kernels::scalar(), &case, 0..case.rows);
        for kernels in others() {
            prop_assert_eq!(&run_integer(kernels, &case, 0..case.rows), &expected);
        }
    }

    #[test]
    fn dense_u8_rows_do_not_depend_on_the_rows_beside_them(case in integer_case()) {
        for kernels in Kernels::available() {
            let together = run_integer(kernels, &case, 0..case.rows);
            prop_assert_eq!(together, one_by_one(case.rows, |rows| run_integer(kernels, &case, rows)));
        }
    }

    #[test]
    fn quantize_gives_the_codes_of_the_definition(values in vec(wild(), 0..70), quantization in quantization()) {
        let run = |kernels: Kernels| {
            let mut codes = vec![7; values.len()];
            let refused = kernels.quantize(&values, quantization, &mut codes).err();
            (codes, refused)
        };
        prop_assert_eq!(run(Kernels::scalar()).1, values.iter().position(|value| !value.is_finite()));
        for kernels in others() {
            prop_assert_eq!(run(kernels), run(Kernels::scalar()));
        }
    }

    #[test]
    fn softmax_gives_the_bits_of_the_definition(
        logits in vec(wild(), 1..700),
        classes in 1_usize..70,
        apart in 0_usize..40,
    ) {
        // The last row ends where its classes do, or before what is apart.
        let (stride, classes) = (classes + apart, classes.min(logits.len()));
        let count = (logits.len() - classes) / stride + 1;
        let run = |kernels: Kernels| {
            let mut probabilities = vec![7.0; count * classes];
            kernels.softmax(Rows { values: &logits, stride, count }, classes, &mut probabilities);
            bits(&probabilities)
        };
        for kernels in others() {
            prop_assert_eq!(run(kernels), run(Kernels::scalar()));
        }
    }

    #[test]
    fn prepare_gives_the_bits_and_the_refusals_of_the_definition(
        row in vec((wild(), finite(), finite(), 1e-3_f32..1e3), 1..70),
        impute: bool,
        standardise: bool,
    ) {
        let column = |get: fn(&(f32, f32, f32, f32)) -> f32| row.iter().map(get).collect::<Vec<_>>();
        let mut preparation = Preparation::default();
        if impute {
            preparation = preparation.with_impute(column(|x| x.1));
        }
        if standardise {
            preparation = preparation.with_standardise(column(|x| x.2), column(|x| x.3));
        }
        let run = |kernels: Kernels| {
            // The second row is the one that may fail.
            let raw = [vec![1.0; row.len()], column(|x| x.0)].concat();
            let mut prepared = vec![7.0; raw.len()];
            kernels.prepare(&preparation, row.len(), &raw, &mut prepared).map(|()| bits(&prepared))
        };
        for kernels in others() {
            prop_assert_eq!(run(kernels), run(Kernels::scalar()));
        }
    }
}

#[test]
fn the_first_value_that_is_not_finite_is_found() {
    for kernels in Kernels::available() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in 0..50 {
                let mut values = vec![f32::MAX; 50];
                assert_eq!(kernels.first_not_finite(&values), None);
                values[position] = bad;
                values[49] = bad;
                assert_eq!(kernels.first_not_finite(&values), Some(position), "{}", kernels.name());
            }
        }
    }
}

#[test]
fn activations_give_the_bits_of_the_definition_over_the_whole_range() {
    let inputs: Vec<f32> = (0..=u32::MAX).step_by(4001).map(f32::from_bits).collect();
    for activation in ACTIVATIONS {
        let layer = DenseF32::pack(&[1.0], &[0.0], activation);
        let run = |kernels: Kernels| {
            let mut out = vec![0.0; inputs.len() * layer.stride()];
            let rows = Rows { values: &inputs, stride: 1, count: inputs.len() };
            kernels.dense_real(&layer, rows, Output::Values(&mut out));
            bits(&out.into_iter().step_by(layer.stride()).collect::<Vec<_>>())
        };
        let expected = run(Kernels::scalar());
        for kernels in others() {
            assert!(run(kernels) == expected, "{activation:?} on {}", kernels.name());
        }
    }
}

#[test]
fn integer_sums_are_exact_at_the_extremes() {
    for kernels in Kernels::available() {
        for (code, weight) in [(255, 127), (255, -128), (0, 127), (255, 64), (255, -64)] {
            let inputs = 2_051;
            let codes = vec![weight; inputs];
            let input = Quantization { scale: 1.0, zero_point: 0 };
            let parts = DenseU8Parts {
                codes: &codes,
                scales: &[1.0],
                bias: &[0.5],
                input,
                activation: Activation::Identity,
            };
            let layer = DenseU8::pack(&parts, kernels);
            let mut out = vec![0.0; layer.stride()];
            let rows = vec![code; layer.padded_inputs()];
            let rows = Rows { values: &rows, stride: rows.len(), count: 1 };
            kernels.dense_u8(&layer, rows, Output::Values(&mut out), &mut []);
            let exact = i64::from(code) * i64::from(weight) * inputs as i64;
            assert_eq!(out[0], (exact as f64 + 0.5) as f32, "{code} · {weight} on {}", kernels.name());
        }
    }
}

#[test]
fn no_rows_are_no_work() {
    let none = || Output::Values(&mut []);
    let input = Quantization { scale: 1.0, zero_point: 0 };
    for kernels in Kernels::available() {
        let real = DenseF32::pack(&[1.0; 40], &[0.0; 20], Activation::Relu);
        kernels.dense_real(&real, Rows { values: &[], stride: 2, count: 0 }, none());
        let parts = DenseU8Parts {
            codes: &[1; 40],
            scales: &[1.0],
            bias: &[0.0; 20],
            input,
            activation: Activation::Relu,
        };
        let integer = DenseU8::pack(&parts, kernels);
        kernels.dense_u8(&integer, Rows { values: &[], stride: 4, count: 0 }, none(), &mut []);
    }
}
