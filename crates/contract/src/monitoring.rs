//! What the monitor tells: a window every few seconds, and alerts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ErrorCode, ModelName, ModelVersion, ShadowCounts, WorkerId};

/// The merged figures of a model over some seconds. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The model.
    pub model: ModelName,
    /// When the window begins.
    pub start: u64,
    /// When it ends.
    pub end: u64,
    /// Every version that was loaded.
    pub versions: Vec<VersionWindow>,
    /// Every worker that was heard.
    pub workers: Vec<WorkerResources>,
    /// Telemetry messages that were lost: figures are too low when this is not 0.
    pub telemetry_gaps: u64,
}

/// The figures of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VersionWindow {
    /// The version.
    pub version: ModelVersion,
    /// Requests answered, with a result or an error.
    pub requests: u64,
    /// Rows in those that had a result.
    pub rows: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Errors by the name of their code.
    #[serde(default)]
    pub errors: BTreeMap<ErrorCode, u64>,
    /// From receipt to reply.
    pub latency_ms: Quantiles,
    /// Of it in the queue.
    pub queue_ms: Quantiles,
    /// Of it in the model.
    pub compute_ms: Quantiles,
    /// Rows per run of the model, 0 when there was none.
    pub batch_size_mean: f64,
    /// How often it was right, as far as labels are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Accuracy>,
    /// How it would have answered, when it is a shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowCounts>,
}

/// A distribution of times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// How many there were; with 0 the others are 0 too.
    pub count: u64,
}

/// How predictions compare with labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accuracy {
    /// Predictions recorded.
    pub predictions: u64,
    /// Of them, those a label came for.
    pub matched: u64,
    /// Of them, those that still wait for a label.
    pub pending: u64,
    /// Of them, those no label came for in time.
    pub expired: u64,
    /// Labels for which no prediction is known.
    pub orphans: u64,
    /// Labels that came a second time.
    pub duplicates: u64,
    /// Classification: rows whose class was right.
    pub correct: u64,
    /// Classification: the share of rows whose class was right among the latest labels, as many as the monitor is set to look at
    /// (2000 unless told otherwise); absent when there was none. The counts above are those of all labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// 95 % confidence interval of the ratio (Wilson, 1927).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Regression: mean absolute error over rows and targets of the same latest labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_absolute_error: Option<f64>,
}

/// A range that holds the true value with a stated confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Resources of one worker over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerResources {
    /// The worker.
    pub worker: WorkerId,
    /// Processor time divided by elapsed time: 1 is one busy core.
    pub cpu_ratio: f64,
    /// Memory at the end.
    pub resident_bytes: u64,
}

/// Something that needs a person, published when it starts and when it ends. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// The same for its start and its end.
    pub id: String,
    /// The model.
    pub model: ModelName,
    /// The version, when it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// What is watched, for example `latency_p99`, `error_ratio`, `accuracy`.
    pub kind: String,
    /// Whether it starts or ends.
    pub state: AlertState,
    /// When this was published.
    pub at: u64,
    /// When it started.
    pub since: u64,
    /// What was measured.
    pub value: f64,
    /// What it is compared with.
    pub threshold: f64,
    /// The same in words.
    pub message: String,
}

/// Whether an alert starts or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The threshold is passed.
    Started,
    /// It is no longer.
    Ended,
}
