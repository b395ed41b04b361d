//! How long plans take: each shape in `f32` beside its compressed form, measured in turns.
//!
//! `cargo bench -p leat-engine`
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use leat_engine::{Error, compile, measure};
use leat_model::{
    Activation, ActivationQuantization, Body, Dense, Lineage, Model, Network, Preprocessing, Signature,
    Standardise, Task, Tensor,
};

const BATCHES: [usize; 4] = [1, 8, 32, 256];

/// Pairs of a shape in `f32` and the shape it is compressed to in `int8`.
const PAIRS: [(&str, &[usize], &[usize]); 5] = [
    ("seed", &[10, 64, 1], &[10, 32, 1]),
    ("digits", &[64, 128, 64, 10], &[64, 64, 32, 10]),
    ("digits, two layers", &[64, 64, 10], &[64, 64, 10]),
    ("ao#2989", &[512, 256, 128, 64, 1], &[512, 256, 128, 64, 1]),
    ("mnist", &[784, 512, 256, 10], &[784, 256, 128, 10]),
];

fn main() -> Result<(), Error> {
    println!(
        "{:<20} {:>5} {:>12} {:>12} {:>7}   plans",
        "shape", "batch", "f32 µs/row", "int8 µs/row", "ratio"
    );
    for (name, before, after) in PAIRS {
        let rows = values(64 * before[0], 9);
        let before = compile(&model(before, false))?;
        let after = compile(&model(after, true))?;
        for batch in BATCHES {
            let (a, b) = measure::compare(before.as_ref(), after.as_ref(), batch, &rows)?;
            let per_row = |ns: u64| ns as f64 / 1e3 / batch as f64;
            let (a, b) = (per_row(a.p50_ns), per_row(b.p50_ns));
            let plans = format!("{} | {}", before.describe(), after.describe());
            println!("{name:<20} {batch:>5} {a:>12.4} {b:>12.4} {:>7.2}   {plans}", a / b);
        }
    }
    Ok(())
}

/// A classifier (or, with one output, a regression) with these widths and rectifiers between.
fn model(widths: &[usize], int8: bool) -> Model {
    let last = widths.len() - 2;
    let layers = widths.windows(2).enumerate().map(|(index, pair)| {
        let (inputs, outputs) = (pair[0], pair[1]);
        let weights = values(inputs * outputs, index as u64 + 1);
        let quantization =
            ActivationQuantization { scale: 0.02, zero_point: if index == 0 { 128 } else { 0 } };
        let codes = weights.iter().map(|weight| (weight * 127.0) as i8).collect();
        let shape = vec![outputs, inputs];
        Dense {
            weights: if int8 {
                Tensor::int8(shape, codes, vec![1.0 / 127.0; outputs])
            } else {
                Tensor::f32(shape, weights)
            },
            bias: values(outputs, index as u64 + 77),
            activation: if index == last { Activation::Identity } else { Activation::Relu },
            mask: None,
            input_quantization: int8.then_some(quantization),
        }
    });
    let network = Network { layers: layers.collect() };
    let outputs = network.outputs();
    let task = if outputs == 1 { Task::Regression } else { Task::Classification };
    let names = |prefix: &str, count: usize| (0..count).map(|index| format!("{prefix}{index}")).collect();
    let features = network.features();
    let standardise = Standardise { mean: vec![0.1; features], scale: vec![1.5; features] };
    Model {
        name: "bench".to_owned(),
        task,
        signature: Signature::of_network(task, names("x", features), names("y", outputs)),
        preprocessing: Preprocessing { impute: None, standardise: Some(standardise) },
        body: Body::Network(network),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage { crate_version: "0.1.0".to_owned(), ..Lineage::default() },
    }
}

/// Values in `-1..1` from a linear congruential generator (Knuth's MMIX constants).
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
