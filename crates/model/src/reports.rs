mod validation;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Named figures of merit, for example `accuracy`, `log_loss`, `macro_f1`, `rmse`, `mae`, `r2`. Every value is finite.
pub type Metrics = BTreeMap<String, f64>;

/// How a model was trained. Holds no time, so that the same job gives the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingReport {
    /// Rows the optimiser saw.
    pub train_rows: u64,
    /// Rows it never saw; `held_out` is measured on them.
    pub held_out_rows: u64,
    /// Epochs that ran.
    pub epochs: u32,
    /// The epoch whose weights were kept (counted from 1).
    pub best_epoch: u32,
    /// Whether training ended before the last epoch because validation no longer improved.
    pub stopped_early: bool,
    /// Mean loss over the last epoch.
    pub train_loss: f64,
    /// Metrics on the held-out rows.
    pub held_out: Metrics,
}

/// What one compression step did. Sizes of blobs and latencies are measured after the blob exists and live in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressionReport {
    /// The step as canonical JSON, as it was asked for.
    pub step: String,
    /// Bytes of weights, masks and biases before and after.
    pub parameter_bytes_before: u64,
    /// See `parameter_bytes_before`.
    pub parameter_bytes_after: u64,
    /// Weights that are not zero, before.
    pub nonzero_before: u64,
    /// Weights that are not zero, after.
    pub nonzero_after: u64,
    /// Metrics on the held-out rows before.
    pub held_out_before: Metrics,
    /// Metrics on the held-out rows after.
    pub held_out_after: Metrics,
    /// What happened in each layer.
    pub layers: Vec<LayerReport>,
}

/// What one compression step did to one layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerReport {
    /// `[outputs, inputs]` before.
    pub shape_before: Vec<u64>,
    /// `[outputs, inputs]` after.
    pub shape_after: Vec<u64>,
    /// Weights whose value changed (or that were removed).
    pub changed: u64,
    /// Codes that met the end of their integer range.
    pub saturated: u64,
    /// Largest absolute weight after.
    pub weight_max: f64,
    /// Signal-to-quantization-noise ratio of this layer's weights in decibels, when they stay comparable and differ
    /// (so that it is finite).
    pub sqnr_db: Option<f64>,
}
