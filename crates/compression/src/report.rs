//! What a step did, measured by comparing the network before and after it.

use leat_model::{CompressionReport, Dense, LayerReport, Metrics, Network, TrainingReport};

/// What a step gives back.
pub(crate) struct Outcome {
    pub(crate) network: Network,
    /// Per layer: codes that met the end of their range. Empty when nothing was quantized.
    pub(crate) saturated: Vec<u64>,
    /// Per layer: weights that changed or were removed, where comparing values by position cannot tell.
    pub(crate) changed: Option<Vec<u64>>,
    /// Whether weights still stand for the same thing as before, so that their difference is noise.
    pub(crate) comparable: bool,
    /// How a network that is new was trained.
    pub(crate) training: Option<TrainingReport>,
}

impl Outcome {
    /// The outcome of a step that rewrote weights in place.
    pub(crate) fn rewritten(network: Network) -> Self {
        Self { network, saturated: Vec::new(), changed: None, comparable: true, training: None }
    }

    /// The outcome of a step that trained weights.
    pub(crate) fn trained(network: Network) -> Self {
        Self { network, saturated: Vec::new(), changed: None, comparable: false, training: None }
    }
}

/// The report of one step; `metrics` are those before and after it.
pub(crate) fn compare(
    step: String,
    before: &Network,
    outcome: &Outcome,
    metrics: (Metrics, Metrics),
) -> CompressionReport {
    let after = &outcome.network;
    let count = before.layers.len().max(after.layers.len());
    CompressionReport {
        step,
        parameter_bytes_before: before.parameter_bytes(),
        parameter_bytes_after: after.parameter_bytes(),
        nonzero_before: before.nonzero_weights(),
        nonzero_after: after.nonzero_weights(),
        held_out_before: metrics.0,
        held_out_after: metrics.1,
        layers: (0..count).map(|index| layer(index, before, outcome)).collect(),
    }
}

fn layer(index: usize, before: &Network, outcome: &Outcome) -> LayerReport {
    let (before, after) = (before.layers.get(index), outcome.network.layers.get(index));
    let (old, new) = (values(before), values(after));
    let (shape_before, shape_after) = (shape(before), shape(after));
    let shape_is_kept = shape_before == shape_after;
    let changed = match outcome.changed.as_ref().and_then(|changed| changed.get(index)) {
        Some(&changed) => changed,
        None if shape_is_kept => changed_values(&old, &new),
        None => old.len() as u64,
    };
    LayerReport {
        shape_before,
        shape_after,
        changed,
        saturated: outcome.saturated.get(index).copied().unwrap_or(0),
        weight_max: new.iter().fold(0.0, |largest, value| f64::max(largest, f64::from(value.abs()))),
        sqnr_db: if outcome.comparable && shape_is_kept { sqnr_db(&old, &new) } else { None },
    }
}

fn values(layer: Option<&Dense>) -> Vec<f32> {
    layer.map(|layer| layer.weights.to_f32()).unwrap_or_default()
}

fn shape(layer: Option<&Dense>) -> Vec<u64> {
    layer.map(|layer| layer.weights.shape.iter().map(|&length| length as u64).collect()).unwrap_or_default()
}

/// Per layer: weights that narrowing removed and, of the others, those that training then changed.
pub(crate) fn removed_or_changed(before: &Network, narrow: &Network, tuned: &Network) -> Vec<u64> {
    let layers = before.layers.iter().zip(&narrow.layers).zip(&tuned.layers);
    let counts = layers.map(|((before, narrow), tuned)| {
        let removed = before.weights.len() - narrow.weights.len();
        removed as u64 + changed_values(&narrow.weights.to_f32(), &tuned.weights.to_f32())
    });
    counts.collect()
}

/// How many of two equally long lists of values differ.
fn changed_values(old: &[f32], new: &[f32]) -> u64 {
    old.iter().zip(new).filter(|(old, new)| old != new).count() as u64
}

/// `10 · log10(Σ w² / Σ (w - ŵ)²)`; none when nothing changed or there was nothing to change.
fn sqnr_db(old: &[f32], new: &[f32]) -> Option<f64> {
    let signal: f64 = old.iter().map(|&value| f64::from(value).powi(2)).sum();
    let noise: f64 = old.iter().zip(new).map(|(&old, &new)| (f64::from(old) - f64::from(new)).powi(2)).sum();
    let ratio = 10.0 * (signal / noise).log10();
    ratio.is_finite().then_some(ratio)
}
