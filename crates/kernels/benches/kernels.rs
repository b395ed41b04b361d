//! How long each kernel takes with each instruction set.
//!
//! `cargo bench -p leat-kernels`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use leat_kernels::{
    Activation, DenseF32, DenseU8, DenseU8Parts, Kernels, Output, PANEL, Preparation, Quantization, Rows,
    SparseF32,
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
        dense_f32(inputs, outputs, rows);
        dense_u8(inputs, outputs, rows);
        sparse_f32(inputs, outputs, rows);
    }
    for activation in [Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::Gelu] {
        elementwise(activation);
    }
    vectors();
}

fn dense_f32(inputs: usize, outputs: usize, rows: usize) {
    let layer = DenseF32::pack(&values(inputs * outputs), &values(outputs), Activation::Relu);
    let input = values(inputs * rows);
    let mut output = vec![0.0; rows * layer.stride()];
    compare(&format!("dense_f32 {inputs}x{outputs} rows {rows}"), inputs * outputs * rows, |kernels| {
        let rows = Rows { values: &input, stride: inputs, count: rows };
        kernels.dense_real(&layer, rows, Output::Values(black_box(&mut output)));
    });
}

fn dense_u8(inputs: usize, outputs: usize, rows: usize) {
    let codes: Vec<i8> = values(inputs * outputs).iter().map(|x| (x * 127.0) as i8).collect();
    let bias = values(outputs);
    let activation = Activation::Relu;
    let parts = DenseU8Parts { codes: &codes, scales: &[0.01], bias: &bias, input: QUANTIZATION, activation };
    let packed: Vec<_> = Kernels::available()
        .into_iter()
        .map(|kernels| (kernels.name(), DenseU8::pack(&parts, kernels)))
        .collect();
    let input = vec![200; inputs.next_multiple_of(4) * rows];
    let mut workspace = Vec::new();
    let mut output = vec![0; rows * outputs.next_multiple_of(PANEL)];
    compare(&format!("dense_u8 {inputs}x{outputs} rows {rows}"), inputs * outputs * rows, |kernels| {
        let (_, layer) =
            packed.iter().find(|(name, _)| *name == kernels.name()).expect("every set is packed for");
        workspace.resize(layer.workspace(rows), 0);
        let rows = Rows { values: &input, stride: layer.padded_inputs(), count: rows };
        kernels.dense_u8(layer, rows, Output::Codes(black_box(&mut output), QUANTIZATION), &mut workspace);
    });
}

/// One weight in ten; the work is that of the dense layer.
fn sparse_f32(inputs: usize, outputs: usize, rows: usize) {
    let weights = values(inputs * outputs).into_iter().map(|x| if x.abs() < 0.9 { 0.0 } else { x });
    let layer = SparseF32::pack(&weights.collect::<Vec<_>>(), &values(outputs), Activation::Relu);
    let input = values(inputs * rows);
    let mut output = vec![0.0; rows * layer.stride()];
    let mut workspace = vec![0.0; layer.workspace()];
    compare(&format!("sparse_f32 {inputs}x{outputs} rows {rows}"), inputs * outputs * rows, |kernels| {
        let rows = Rows { values: &input, stride: inputs, count: rows };
        kernels.sparse_f32(&layer, rows, Output::Values(black_box(&mut output)), &mut workspace);
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
        kernels.quantize(&input, QUANTIZATION, black_box(&mut codes));
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
