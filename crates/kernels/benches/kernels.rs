//! How long each kernel takes with each instruction set.
//!
//! `cargo bench -p leat-kernels`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use leat_kernels::{
    Activation, Bf16, DenseBf16, DenseF32, DenseI8, DenseReal, DenseU8, DenseU8Parts, Kernels, Output, PANEL,
    Preparation, Quantization, Rows, SparseF32, SparseU8, Weight,
};

const SHAPES: [(usize, usize, usize); 7] = [
    (64, 64, 1),
    (64, 64, 32),
    (128, 64, 1),
    (784, 512, 1),
    (784, 512, 32),
    (784, 512, 96),
    (4096, 4096, 96),
];
const LEN: usize = 1024;
const QUANTIZATION: Quantization = Quantization { scale: 0.02, zero_point: 128 };

fn main() {
    println!("{:<28} {:>8} {:>14} {:>12}", "kernel", "set", "ns", "per ns");
    for (inputs, outputs, rows) in SHAPES {
        let shape = Shape { inputs, outputs, rows };
        let (weights, bias) = (values(inputs * outputs), values(outputs));
        let halves: Vec<Bf16> = weights.iter().map(|x| Bf16((x.to_bits() >> 16) as u16)).collect();
        let codes: Vec<i8> = weights.iter().map(|x| (x * 127.0) as i8).collect();
        let activation = Activation::Relu;
        dense_real("dense_f32", shape, &DenseF32::pack(&weights, &bias, activation));
        dense_real("dense_bf16", shape, &DenseBf16::pack_scaled(&halves, &[1.0], &bias, activation));
        dense_real("dense_i8", shape, &DenseI8::pack_scaled(&codes, &[0.01], &bias, activation));
        dense_u8(shape, &codes);
        sparse_f32(shape);
        sparse_u8(shape);
    }
    for activation in [Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::Gelu] {
        elementwise(activation);
    }
    vectors();
}

#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    outputs: usize,
    rows: usize,
}

impl Shape {
    /// Prints how long a kernel takes for this shape; the work is that of the dense layer.
    fn compare(self, name: &str, run: impl FnMut(Kernels)) {
        let Self { inputs, outputs, rows } = self;
        compare(&format!("{name} {inputs}x{outputs} rows {rows}"), inputs * outputs * rows, run);
    }

    /// As many codes as the rows of an integer layer have.
    fn codes(self) -> Vec<u8> {
        vec![200; self.inputs.next_multiple_of(4) * self.rows]
    }

    /// A place for the rows that come out.
    fn place(self) -> Vec<u8> {
        vec![0; self.rows * self.outputs.next_multiple_of(PANEL)]
    }
}

fn dense_real<W: Weight>(name: &str, shape: Shape, layer: &DenseReal<W>) {
    let Shape { inputs, rows, .. } = shape;
    let input = values(inputs * rows);
    let mut output = vec![0.0; rows * layer.stride()];
    shape.compare(name, |kernels| {
        let rows = Rows { values: &input, stride: inputs, count: rows };
        kernels.dense_real(layer, rows, Output::Values(black_box(&mut output)));
    });
}

/// A layer packed for each set of kernels.
fn packed<L>(codes: &[i8], outputs: usize, pack: impl Fn(&DenseU8Parts<'_>, Kernels) -> L) -> Vec<L> {
    let (bias, activation) = (values(outputs), Activation::Relu);
    let parts = DenseU8Parts { codes, scales: &[0.01], bias: &bias, input: QUANTIZATION, activation };
    Kernels::available().into_iter().map(|kernels| pack(&parts, kernels)).collect()
}

/// The layer that was packed for a set of kernels.
fn of<L>(layers: &[L], kernels: Kernels) -> &L {
    let position = Kernels::available().iter().position(|other| other.name() == kernels.name());
    &layers[position.expect("every set is packed for")]
}

fn dense_u8(shape: Shape, codes: &[i8]) {
    let layers = packed(codes, shape.outputs, DenseU8::pack);
    let (input, mut output, mut workspace) = (shape.codes(), shape.place(), Vec::new());
    shape.compare("dense_u8", |kernels| {
        let layer = of(&layers, kernels);
        workspace.resize(layer.workspace(shape.rows), 0);
        let rows = Rows { values: &input, stride: layer.padded_inputs(), count: shape.rows };
        kernels.dense_u8(layer, rows, Output::Codes(black_box(&mut output), QUANTIZATION), &mut workspace);
    });
}

/// One weight in ten, as for integers.
fn pruned(shape: Shape) -> Vec<f32> {
    let keep = |x: f32| if x.abs() < 0.9 { 0.0 } else { x };
    values(shape.inputs * shape.outputs).into_iter().map(keep).collect()
}

fn sparse_f32(shape: Shape) {
    let Shape { inputs, outputs, rows } = shape;
    let layer = SparseF32::pack(&pruned(shape), &values(outputs), Activation::Relu);
    let input = values(inputs * rows);
    let mut output = vec![0.0; rows * layer.stride()];
    let mut workspace = vec![0.0; layer.workspace()];
    shape.compare("sparse_f32", |kernels| {
        let rows = Rows { values: &input, stride: inputs, count: rows };
        kernels.sparse_f32(&layer, rows, Output::Values(black_box(&mut output)), &mut workspace);
    });
}

fn sparse_u8(shape: Shape) {
    let codes: Vec<i8> = pruned(shape).iter().map(|x| (x * 127.0) as i8).collect();
    let layers = packed(&codes, shape.outputs, SparseU8::pack);
    let (input, mut output, mut workspace) = (shape.codes(), shape.place(), Vec::new());
    shape.compare("sparse_u8", |kernels| {
        let layer = of(&layers, kernels);
        workspace.resize(layer.workspace(), 0);
        let rows = Rows { values: &input, stride: layer.padded_inputs(), count: shape.rows };
        kernels.sparse_u8(layer, rows, Output::Codes(black_box(&mut output), QUANTIZATION), &mut workspace);
    });
}

/// A layer of one input, whose cost is its activation.
fn elementwise(activation: Activation) {
    let layer = DenseF32::pack(&values(LEN), &values(LEN), activation);
    let mut output = vec![0.0; layer.stride()];
    compare(&format!("{activation:?} of {LEN}"), LEN, |kernels| {
        let rows = Rows { values: &[0.5], stride: 1, count: 1 };
        kernels.dense_real(&layer, rows, Output::Values(black_box(&mut output)));
    });
}

fn vectors() {
    let input = values(LEN);
    let mut output = vec![0.0; LEN];
    let mut codes = vec![0; LEN];
    let preparation =
        Preparation::default().with_impute(values(LEN)).with_standardise(values(LEN), vec![1.5; LEN]);
    for classes in [10, LEN] {
        let logits = Rows { values: &input, stride: classes, count: 1 };
        compare(&format!("softmax of {classes}"), classes, |kernels| {
            kernels.softmax(logits, classes, black_box(&mut output[..classes]));
        });
    }
    compare(&format!("quantize {LEN}"), LEN, |kernels| {
        let quantized = kernels.quantize(&input, QUANTIZATION, black_box(&mut codes));
        assert!(quantized.is_ok(), "every value is finite");
    });
    compare(&format!("prepare {LEN}"), LEN, |kernels| {
        let prepared = kernels.prepare(&preparation, LEN, &input, black_box(&mut output));
        assert!(prepared.is_ok(), "every value is finite");
    });
}

/// Prints the best time of each set of kernels, and how many products or elements that is in a nanosecond.
fn compare(name: &str, work: usize, mut run: impl FnMut(Kernels)) {
    for kernels in Kernels::available() {
        let mut best = Duration::MAX;
        let mut repeats = 1;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            let sample = Instant::now();
            (0..repeats).for_each(|_| run(kernels));
            let sample = sample.elapsed();
            best = best.min(sample / repeats);
            repeats = if sample < Duration::from_micros(20) { repeats * 2 } else { repeats };
        }
        let nanoseconds = best.as_nanos() as f64;
        println!("{name:<28} {:>8} {nanoseconds:>14.0} {:>12.2}", kernels.name(), work as f64 / nanoseconds);
    }
}

/// Values in `-1..1` from a linear congruential generator (Knuth's MMIX constants).
fn values(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
