//! Against PyTorch, NumPy and ONNX Runtime; `tests/fixtures/oracles.py` makes the numbers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

use leat_compression::{Calibration, clip, prune, quantize};
use leat_model::ActivationQuantization;
use serde::Deserialize;

#[derive(Deserialize)]
struct Oracles {
    first: Layer,
    second: Layer,
    pruning: Pruning,
    scores: Vec<f64>,
    rounding: Rounding,
    static_per_channel: Static,
    static_per_tensor: Static,
    values: Vec<f32>,
    quantize_linear: QuantizeLinear,
    percentile: Percentile,
}

#[derive(Deserialize)]
struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Deserialize)]
struct Pruning {
    rate: f64,
    l1_unstructured_keeps: Vec<Vec<bool>>,
    global_unstructured_keeps: Vec<Vec<bool>>,
    ln_structured_rate: f64,
    ln_structured_keeps_rows: Vec<bool>,
}

#[derive(Deserialize)]
struct Rounding {
    q: f32,
    codes: Vec<i8>,
    saturated: u64,
    epsilon: f32,
    clamped: Vec<f32>,
    literal: Vec<f32>,
}

#[derive(Deserialize)]
struct Static {
    weights: Vec<Weights>,
}

#[derive(Deserialize)]
struct Weights {
    codes: Vec<i8>,
    scales: Vec<f32>,
}

#[derive(Deserialize)]
struct QuantizeLinear {
    scale: f32,
    zero_point: u8,
    codes: Vec<u8>,
}

#[derive(Deserialize)]
struct Percentile {
    percentile: f64,
    edge: f32,
    low: f32,
    high: f32,
}

fn oracles() -> Oracles {
    serde_json::from_str(include_str!("fixtures/oracles.json")).unwrap()
}

fn kept(pruned: &[Vec<bool>]) -> Vec<Vec<bool>> {
    pruned.iter().map(|marks| marks.iter().map(|pruned| !pruned).collect()).collect()
}

#[test]
fn pruning_by_rate_keeps_what_pytorch_keeps() {
    let Oracles { first, second, pruning, .. } = oracles();
    let layers = [first.weights, second.weights];
    assert_eq!(kept(&prune::smallest_per_layer(&layers, pruning.rate)), pruning.l1_unstructured_keeps);
    assert_eq!(kept(&prune::smallest_overall(&layers, pruning.rate)), pruning.global_unstructured_keeps);
}

#[test]
fn neurons_that_lead_nowhere_in_particular_rank_as_pytorch_ranks_rows() {
    let Oracles { first, pruning, .. } = oracles();
    let neurons = first.bias.len();
    let scores = prune::scores(&first.weights, &vec![0.0; neurons], &vec![1.0; neurons]);
    let kept = (neurons as f64 * (1.0 - pruning.ln_structured_rate)) as usize;
    let mut ranked: Vec<usize> = (0..neurons).collect();
    ranked.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let keeps: Vec<bool> = (0..neurons).map(|neuron| ranked[..kept].contains(&neuron)).collect();
    assert_eq!(keeps, pruning.ln_structured_keeps_rows);
}

#[test]
fn neuron_scores_equal_the_formula_in_numpy() {
    let Oracles { first, second, scores, .. } = oracles();
    for (ours, theirs) in prune::scores(&first.weights, &first.bias, &second.weights).iter().zip(&scores) {
        assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}");
    }
}

#[test]
fn clipping_and_rounding_by_q_equal_numpy() {
    let Oracles { first, rounding, .. } = oracles();
    let codes = quantize::by_q(&first.weights, rounding.q);
    assert_eq!((codes.codes, codes.saturated), (rounding.codes, rounding.saturated));
    assert!(rounding.saturated > 0, "the fixture saturates");
    let all = |formula: fn(f32, f32) -> f32| -> Vec<f32> {
        first.weights.iter().map(|&weight| formula(weight, rounding.epsilon)).collect()
    };
    assert_eq!(all(clip::clamp), rounding.clamped);
    assert_eq!(all(clip::literal), rounding.literal);
}

fn full_range(inputs: usize, per_channel: bool) -> quantize::Symmetric {
    let calibration = Calibration::MinMax;
    quantize::Symmetric { inputs, per_channel, calibration, reduce_range: false }
}

#[test]
fn int8_weights_equal_those_of_onnx_runtime_static_quantization() {
    let Oracles { first, second, static_per_channel, static_per_tensor, .. } = oracles();
    let layers = [
        (&first.weights, first.weights.len() / first.bias.len()),
        (&second.weights, second.weights.len() / second.bias.len()),
    ];
    for ((weights, inputs), theirs) in layers.iter().zip(&static_per_channel.weights) {
        let ours = full_range(*inputs, true).codes(weights);
        assert_eq!((&ours.scales, &ours.codes, ours.saturated), (&theirs.scales, &theirs.codes, 0));
    }
    for ((weights, inputs), theirs) in layers.iter().zip(&static_per_tensor.weights) {
        let ours = full_range(*inputs, false).codes(weights);
        assert_eq!((&ours.scales, &ours.codes), (&theirs.scales, &theirs.codes));
    }
}

#[test]
fn activation_codes_equal_onnx_quantize_linear() {
    let Oracles { values, quantize_linear, .. } = oracles();
    let by = ActivationQuantization { scale: quantize_linear.scale, zero_point: quantize_linear.zero_point };
    let codes: Vec<u8> = values.iter().map(|&value| quantize::quantize_u8(value, by)).collect();
    assert_eq!(codes, quantize_linear.codes);
    assert!(codes.contains(&0) && codes.contains(&255), "the fixture saturates at both ends");
}

#[test]
fn percentile_edges_equal_those_of_the_onnx_runtime_calibrator() {
    let Oracles { values, percentile, .. } = oracles();
    let mut histogram = quantize::Histogram::new(-percentile.edge, percentile.edge);
    histogram.add(&values[..397]);
    let (low, high) = histogram.central(percentile.percentile);
    // One bin of numpy's f32 edges may be rounded differently.
    let tolerance = percentile.edge * 1e-6;
    assert!(
        (low - percentile.low).abs() <= tolerance && (high - percentile.high).abs() <= tolerance,
        "{low} {high}"
    );
}
