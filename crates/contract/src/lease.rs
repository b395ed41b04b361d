//! What each worker says it has loaded.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, ErrorDetail, ModelName, ModelVersion, WorkerId};

/// The lease of one inference worker, under its id. The bucket forgets it 30 s after the last renewal; readers must also
/// look at `renewed_at`. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerLease {
    /// Who holds it.
    pub worker: WorkerId,
    /// When the worker started.
    pub started_at: u64,
    /// The versions it has, or tries to have.
    pub loaded: Vec<LoadedVersion>,
    /// For each model, the revision of the deployment document that it has applied.
    #[serde(default)]
    pub deployment_revisions: BTreeMap<ModelName, u64>,
    /// What the operator calls it, for deployments that choose their workers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was renewed.
    pub renewed_at: u64,
}

impl WorkerLease {
    /// How long a lease holds without renewal.
    pub const HOLDS_MS: u64 = 30_000;
    /// How often a worker renews.
    pub const RENEW_MS: u64 = 10_000;

    /// Whether the worker must be taken for dead at a time. A renewal that seems to lie ahead counts as fresh.
    pub const fn is_expired(&self, now: u64) -> bool {
        now.saturating_sub(self.renewed_at) > Self::HOLDS_MS
    }

    /// What it says of a version.
    pub fn loaded(&self, model: &ModelName, version: ModelVersion) -> Option<&LoadedVersion> {
        self.loaded.iter().find(|loaded| loaded.model == *model && loaded.version == version)
    }

    /// Whether it answers for a version.
    pub fn serves(&self, model: &ModelName, version: ModelVersion) -> bool {
        self.loaded(model, version).is_some_and(|loaded| loaded.state == LoadState::Ready)
    }
}

/// One version on one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadedVersion {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// Its blob.
    pub digest: Digest,
    /// Whether it answers.
    pub state: LoadState,
    /// Why loading failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetail>,
}

/// Whether a version answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// It answers.
    Ready,
    /// It is fetched, checked, compiled or warmed up.
    Loading,
    /// It cannot be loaded; the worker tries again.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_expires_30_seconds_after_its_renewal() {
        let worker = WorkerId::new("w1").unwrap();
        let lease = WorkerLease {
            worker,
            started_at: 0,
            loaded: Vec::new(),
            deployment_revisions: BTreeMap::new(),
            labels: BTreeMap::new(),
            renewed_at: 50_000,
        };
        assert!(!lease.is_expired(80_000));
        assert!(lease.is_expired(80_001));
        assert!(!lease.is_expired(0));
    }
}
