//! The version of the contract and how it grows.
//!
//! The major version stands in every subject (`leat.v1.…`). Within it a change may only add: a subject, a message, an
//! optional field, a value of an enumeration that readers already treat as unknown. Every such addition is a variant here,
//! a golden message and a line in `proto/README.md`; golden messages that exist never change. Readers of documents,
//! events and telemetry ignore fields they do not know; requests, jobs and deployments with unknown fields are refused, so
//! that a misspelt field is an error and not silence. Anything else needs `leat.v2`, which would be served beside v1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The token in every subject.
pub const MAJOR: &str = "v1";

/// Every state of the contract there has been, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ContractVersion {
    /// The first contract: inference, metadata, jobs, registry, deployments, labels, predictions, telemetry, monitoring.
    #[serde(rename = "1.0")]
    V1_0,
    /// Overload and rollout: requests with a priority, a time in the queue and a sticky key; limits of the queue by bytes and
    /// time; shadows, canaries and selectors of deployments; labels of workers; what mirrored requests told; rollout events.
    #[serde(rename = "1.1")]
    V1_1,
    /// Durable inference: requests to the stream of asynchronous work, results that are kept; caches and pipelines of deployments.
    #[serde(rename = "1.2")]
    V1_2,
    /// Large bodies: requests and replies that no message can hold are objects, which the message names. Pruning of blocks in jobs.
    #[serde(rename = "1.3")]
    V1_3,
    /// Totals of versions in the figures of workers, and what kept answers were of use. Work that is handed over knows what was before.
    #[serde(rename = "1.4")]
    V1_4,
    /// How long reading requests and writing answers took, in the figures of workers.
    #[serde(rename = "1.5")]
    V1_5,
    /// How many rows the runs of a version had, in the figures of workers. Metadata of one version. Preferred batches in rows.
    #[serde(rename = "1.6")]
    V1_6,
    /// How long runs took by how many rows they had, in telemetry.
    #[serde(rename = "1.7")]
    V1_7,
    /// How long runs took that were repeated to compare a canary, in telemetry.
    #[serde(rename = "1.8")]
    V1_8,
}

impl ContractVersion {
    /// The version this build speaks.
    pub const CURRENT: Self = Self::V1_8;

    /// Every version, oldest first.
    pub const ALL: [Self; 9] = [
        Self::V1_0,
        Self::V1_1,
        Self::V1_2,
        Self::V1_3,
        Self::V1_4,
        Self::V1_5,
        Self::V1_6,
        Self::V1_7,
        Self::V1_8,
    ];

    /// As written in service metadata, for example `1.0`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
            Self::V1_4 => "1.4",
            Self::V1_5 => "1.5",
            Self::V1_6 => "1.6",
            Self::V1_7 => "1.7",
            Self::V1_8 => "1.8",
        }
    }

    /// What it added.
    pub const fn adds(self) -> &'static str {
        match self {
            Self::V1_0 => {
                "inference, metadata, jobs, registry, deployments, leases, labels, predictions, telemetry, monitoring, control"
            }
            Self::V1_1 => {
                "the parameters `priority`, `timeout` and `sticky_key` of requests; `preferred_size`, `queue_bytes_max`, `queue_wait_max_ms`, `shadow`, `canary` and `selector` of deployments; `labels` of leases; `shadow` in telemetry and windows; rollout events"
            }
            Self::V1_2 => "durable inference and its results; `cache` and `pipeline` of deployments",
            Self::V1_3 => {
                "requests and replies whose body is an object: `InferReference`, the headers `Leat-Body-Object` and `Leat-Reply-Object-Bytes-Max`, the store `leat_payloads`; `prune.blocks` of compression jobs"
            }
            Self::V1_4 => {
                "`InferenceFigures` as `data` of `$SRV.STATS`; `cache` in telemetry; the headers `Leat-Accepted-Ms`, `Leat-Accepted-Message-Id` and `Leat-Failed-Attempts` of durable requests and jobs that a worker handed over"
            }
            Self::V1_5 => "`input` and `output` in the totals of `InferenceFigures`",
            Self::V1_6 => {
                "`batches` of versions in `InferenceFigures`; metadata of one version, and `version` in `ModelMetadata`; `preferred_size` of deployments counts rows where it counted requests"
            }
            Self::V1_7 => {
                "`runs` in telemetry; `compute` of `batches` in `InferenceFigures` is what each run took, where it was the share of a batch"
            }
            Self::V1_8 => {
                "`is_repeat` of `runs` in telemetry, which `latency_increase_max` of canaries judges too"
            }
        }
    }
}
