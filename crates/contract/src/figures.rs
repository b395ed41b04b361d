//! What a worker tells of a model it serves, beside what the NATS micro protocol counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, ModelVersion, ShadowCounts};

/// The `data` of an inference worker's endpoint in the reply to `$SRV.STATS`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InferenceFigures {
    /// Requests that wait.
    pub queued: u64,
    /// How many may wait.
    pub queue_max: u64,
    /// Each version on the routes.
    pub versions: Vec<VersionFigures>,
    /// The answers that are kept, when the deployment wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheFigures>,
    /// The version that gets copies of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowFigures>,
}

/// One version on one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VersionFigures {
    /// Which one.
    pub version: ModelVersion,
    /// Its blob.
    pub digest: Digest,
    /// Its share of the live route.
    pub weight: u32,
    /// What the engine made of it.
    pub plan: String,
    /// Whether its plan is in memory; one that gave way comes back when somebody asks for it.
    pub in_memory: bool,
    /// Requests that run.
    pub inflight: u64,
    /// The median latency in the last second with requests, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<u64>,
    /// Likewise the 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<u64>,
    /// Everything since the version was loaded.
    #[serde(default)]
    pub totals: VersionTotals,
    /// The runs in these totals, by how many rows they had: smallest first, only sizes that were run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<BatchFigures>,
}

/// Runs of a version with about as many rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchFigures {
    /// Rows of a run: exactly up to 16, above that at most so many and more than half.
    pub size: u64,
    /// Reading requests into the rows. Runs that share a batch share its time by their rows.
    pub input: TimeTotal,
    /// In the model.
    pub compute: TimeTotal,
    /// Writing the answers, likewise; rows with a kept answer share it too.
    pub output: TimeTotal,
}

impl BatchFigures {
    /// Up to here every number of rows is told by itself.
    const EXACT_MAX: u64 = 16;

    /// The size that a run with so many rows is counted under.
    pub const fn size_of(rows: u64) -> u64 {
        if rows <= Self::EXACT_MAX {
            return rows;
        }
        match rows.checked_next_power_of_two() {
            Some(size) => size,
            None => u64::MAX,
        }
    }

    /// The fewest and the most rows that are counted under a size.
    pub const fn rows_under(size: u64) -> [u64; 2] {
        if size <= Self::EXACT_MAX { [size, size] } else { [size / 2 + 1, size] }
    }

    /// Adds runs of the same size.
    pub fn add(&mut self, other: &Self) {
        self.input.add(other.input);
        self.compute.add(other.compute);
        self.output.add(other.output);
    }
}

/// What a version did since it was loaded. Refusals at the door count as failures without time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionTotals {
    /// When it last answered, in Unix milliseconds; 0 for never.
    pub last_at: u64,
    /// Rows that were answered.
    pub rows: u64,
    /// Runs of the model, each for the rows of one or several requests.
    pub batches: u64,
    /// Requests that got a result, from receipt to reply.
    pub success: TimeTotal,
    /// Requests that got an error, likewise.
    pub fail: TimeTotal,
    /// Of both, in the queue.
    pub queue: TimeTotal,
    /// Reading the requests of a batch into its rows; every request counts the time of its whole batch, and one with a kept answer
    /// does not count.
    #[serde(default, skip_serializing_if = "TimeTotal::is_none")]
    pub input: TimeTotal,
    /// In the model, likewise.
    pub compute: TimeTotal,
    /// Writing the answers, likewise.
    #[serde(default, skip_serializing_if = "TimeTotal::is_none")]
    pub output: TimeTotal,
    /// Of both, when the deployment keeps answers.
    #[serde(default)]
    pub cache: CacheFigures,
}

impl VersionTotals {
    /// Adds what the same version did on another worker.
    pub fn add(&mut self, other: &Self) {
        self.last_at = self.last_at.max(other.last_at);
        self.rows = self.rows.saturating_add(other.rows);
        self.batches = self.batches.saturating_add(other.batches);
        self.success.add(other.success);
        self.fail.add(other.fail);
        self.queue.add(other.queue);
        self.input.add(other.input);
        self.compute.add(other.compute);
        self.output.add(other.output);
        self.cache.add(other.cache);
    }
}

/// How often, and how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeTotal {
    /// How often.
    pub count: u64,
    /// Nanoseconds.
    pub ns: u64,
}

impl TimeTotal {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.ns = self.ns.saturating_add(other.ns);
    }

    /// Whether nothing was counted.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Counts one.
    pub fn record(&mut self, ns: u64) {
        self.add(Self { count: 1, ns });
    }
}

/// How often kept answers were of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheFigures {
    /// Requests that were answered with a kept answer.
    pub hits: u64,
    /// Requests for which none was kept.
    pub misses: u64,
}

impl CacheFigures {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.hits = self.hits.saturating_add(other.hits);
        self.misses = self.misses.saturating_add(other.misses);
    }
}

/// What copies of requests told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowFigures {
    /// The version that gets them.
    pub version: ModelVersion,
    /// How its answers compare.
    pub counts: ShadowCounts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_while_they_are_few() {
        let sizes = [1, 2, 15, 16, 17, 32, 33, 100, u64::MAX].map(BatchFigures::size_of);
        assert_eq!(sizes, [1, 2, 15, 16, 32, 32, 64, 128, u64::MAX]);
        assert_eq!([1, 16, 32, 64].map(BatchFigures::rows_under), [[1, 1], [16, 16], [17, 32], [33, 64]]);
    }

    #[test]
    fn workers_are_added_up() {
        let one = VersionTotals {
            last_at: 7,
            rows: 3,
            batches: 2,
            success: TimeTotal { count: 2, ns: 20 },
            ..VersionTotals::default()
        };
        let mut both = VersionTotals { last_at: 5, fail: TimeTotal { count: 1, ns: 0 }, ..one };
        both.add(&one);
        assert_eq!((both.last_at, both.rows, both.batches), (7, 6, 4));
        assert_eq!(
            (both.success, both.fail),
            (TimeTotal { count: 4, ns: 40 }, TimeTotal { count: 1, ns: 0 })
        );
    }
}
