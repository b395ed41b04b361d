//! What each inference worker tells the monitor once a second.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CacheFigures, ErrorCode, ModelName, ModelVersion, WorkerId};

/// The counters of one worker since its last message (MessagePack).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerTelemetry {
    /// Who sends it.
    pub worker: WorkerId,
    /// When the worker started, in unix milliseconds: a new epoch means that sequences begin again.
    pub epoch: u64,
    /// Counts messages of an epoch from 0; a gap means that messages were lost.
    pub sequence: u64,
    /// The time the figures cover, in milliseconds.
    pub interval_ms: u64,
    /// The process.
    pub process: ProcessTelemetry,
    /// Every version that was loaded during the interval.
    pub models: Vec<ModelTelemetry>,
}

/// Resources of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessTelemetry {
    /// Processor time since the process started.
    pub cpu_seconds_total: f64,
    /// Memory now.
    pub resident_bytes: u64,
}

/// The counters of one version on one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelTelemetry {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// Requests answered in the interval, with a result or an error.
    pub requests: u64,
    /// Rows in those that had a result.
    pub rows: u64,
    /// Runs of the model.
    pub batches: u64,
    /// Errors by the name of their code.
    #[serde(default)]
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Requests that are running now.
    pub inflight: u64,
    /// Requests that wait now.
    pub queued: u64,
    /// Nanoseconds from receipt to reply: HDR histogram in V2 encoding, only this interval. Empty when there was nothing.
    #[serde(with = "serde_bytes")]
    #[schemars(with = "Vec<u8>")]
    pub latency: Vec<u8>,
    /// Nanoseconds of it in the queue, likewise.
    #[serde(with = "serde_bytes")]
    #[schemars(with = "Vec<u8>")]
    pub queue: Vec<u8>,
    /// Nanoseconds of it in the model, likewise.
    #[serde(with = "serde_bytes")]
    #[schemars(with = "Vec<u8>")]
    pub compute: Vec<u8>,
    /// What copies of live requests told in the interval, when the version is a shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowCounts>,
    /// Of what use kept answers were in the interval, when the deployment has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheFigures>,
    /// The runs of the interval by how many rows they had and whether they were cold: only what was run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunTimes>,
}

/// How long runs with about as many rows took, in the model and with their shares of reading requests and writing answers, by the natural
/// logarithms of their nanoseconds: a geometric mean and its error, which a few stalls of the machine do not move far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunTimes {
    /// Rows of a run: exactly up to 16, above that at most so many and more than half.
    pub size: u64,
    /// Whether the thread had run something else before, so that the weights came from farther away.
    #[serde(default)]
    pub is_cold: bool,
    /// Whether these only repeated a run as soon as it was answered, to be timed with the weights near: each is the fastest of up to three
    /// in a row. Workers do so while a canary is tried, and count repeats in nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_repeat: bool,
    /// Runs.
    pub count: u64,
    /// Rows of all these runs.
    pub rows: u64,
    /// The sum of the logarithms.
    pub log_sum: f64,
    /// The sum of their squares.
    pub log_squares: f64,
}

/// How the answers of a shadow compare with those that were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowCounts {
    /// Copies that were run.
    pub mirrored: u64,
    /// Copies that were not, because the worker was busy.
    pub dropped: u64,
    /// Copies that the shadow could not answer.
    pub failed: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// Rows with another class, or with a value that differs by more than the deployment tolerates.
    pub disagreements: u64,
    /// The largest difference between two values.
    pub difference_max: f64,
}

impl ShadowCounts {
    /// Adds what another worker or interval told.
    pub fn merge(&mut self, other: &Self) {
        self.mirrored = self.mirrored.saturating_add(other.mirrored);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.failed = self.failed.saturating_add(other.failed);
        self.rows = self.rows.saturating_add(other.rows);
        self.disagreements = self.disagreements.saturating_add(other.disagreements);
        self.difference_max = self.difference_max.max(other.difference_max);
    }
}
