//! Every stream, bucket and object store: its name, what it holds and its limits, as data.

use std::time::Duration;

use crate::{JobKind, Subjects, WorkerLease};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A job message leaves room below the broker's default payload limit (1 MiB) for the headers of a dead letter.
const JOB_BYTES_MAX: u32 = 768 * 1024;
/// Whoever asked removes a body once it has its answer; what is left behind by those who could not is gone after this time, in which
/// every caller of the gateway has given up.
const PAYLOADS_KEPT: Duration = Duration::from_secs(5 * 60);
/// The duplicate window that the server gives unless told otherwise.
const DUPLICATES: Duration = Duration::from_secs(120);

/// What an asset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AssetRole {
    /// Model blobs by digest.
    Models,
    /// Data sets by digest.
    Datasets,
    /// States of jobs that can be taken up again.
    Checkpoints,
    /// Bodies of requests and replies that no message can hold.
    Payloads,
    /// Manifests and aliases.
    Registry,
    /// Deployments.
    Desired,
    /// Leases of workers.
    Actual,
    /// Status documents of jobs.
    Jobs,
    /// Jobs to do.
    JobQueue,
    /// Requests for inference that are answered some time.
    AsyncQueue,
    /// Their answers.
    Results,
    /// Events of jobs.
    Events,
    /// Windows and alerts.
    Monitor,
    /// Ground truth.
    Label,
    /// What was predicted.
    Prediction,
    /// Messages that were given up.
    Dead,
}

impl AssetRole {
    /// Every role, in the order of the published table.
    pub const ALL: [Self; 16] = [
        Self::Models,
        Self::Datasets,
        Self::Checkpoints,
        Self::Payloads,
        Self::Registry,
        Self::Desired,
        Self::Actual,
        Self::Jobs,
        Self::JobQueue,
        Self::AsyncQueue,
        Self::Results,
        Self::Events,
        Self::Monitor,
        Self::Label,
        Self::Prediction,
        Self::Dead,
    ];
}

/// What the broker keeps an asset as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssetKind {
    /// An object store.
    ObjectStore,
    /// A key-value bucket.
    KeyValue {
        /// Revisions kept of each key.
        history: u8,
    },
    /// A stream whose messages leave it when they are done; a full one refuses new messages.
    WorkQueue,
    /// A stream that keeps messages up to its limits; a full one drops the oldest.
    Log,
}

/// One stream, bucket or object store. Every asset has a limit on its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What it is for.
    pub role: AssetRole,
    /// The name of the bucket or stream, without the `KV_` or `OBJ_` that the broker puts before it.
    pub name: String,
    /// What the broker keeps it as.
    pub kind: AssetKind,
    /// The subjects a stream captures; none for buckets and object stores.
    pub subjects: Vec<String>,
    /// The keys of a bucket or the names in an object store.
    pub keys: &'static str,
    /// What it holds and how it is written.
    pub holds: &'static str,
    /// The bytes it may take.
    pub max_bytes: u64,
    /// How long anything is kept; none for ever.
    pub max_age: Option<Duration>,
    /// The bytes one message may have; none for the limit of the broker.
    pub max_message_bytes: Option<u32>,
    /// The time in which a stream drops a message with the id of an earlier one.
    pub duplicate_window: Option<Duration>,
}

impl Asset {
    /// The asset of a role under a prefix.
    pub fn new(subjects: &Subjects, role: AssetRole) -> Self {
        match role {
            AssetRole::Models | AssetRole::Datasets | AssetRole::Checkpoints | AssetRole::Payloads => {
                object_store(subjects, role)
            }
            AssetRole::Registry | AssetRole::Desired | AssetRole::Actual | AssetRole::Jobs => {
                bucket(subjects, role)
            }
            AssetRole::JobQueue => job_queue(subjects),
            AssetRole::AsyncQueue => async_queue(subjects),
            _ => log(subjects, role),
        }
    }

    /// The name of the stream behind it, as the broker lists it.
    pub fn stream_name(&self) -> String {
        match self.kind {
            AssetKind::ObjectStore => format!("OBJ_{}", self.name),
            AssetKind::KeyValue { .. } => format!("KV_{}", self.name),
            AssetKind::WorkQueue | AssetKind::Log => self.name.clone(),
        }
    }
}

/// Every asset under a prefix, in the order of the published table.
pub fn all(subjects: &Subjects) -> Vec<Asset> {
    AssetRole::ALL.into_iter().map(|role| Asset::new(subjects, role)).collect()
}

/// The bytes that all assets together may take, which the broker reserves when they are made.
pub fn bytes_max(subjects: &Subjects) -> u64 {
    all(subjects).iter().map(|asset| asset.max_bytes).sum()
}

/// What distinguishes an asset from others of its kind.
struct Facts {
    token: &'static str,
    keys: &'static str,
    holds: &'static str,
    max_bytes: u64,
    max_age: Option<Duration>,
}

fn object_store(subjects: &Subjects, role: AssetRole) -> Asset {
    let facts = match role {
        AssetRole::Models => Facts {
            token: "models",
            keys: "`sha256-<hex>`",
            holds: "model blobs (MessagePack), immutable, named by their digest",
            max_bytes: 2 * GIB,
            max_age: None,
        },
        AssetRole::Datasets => Facts {
            token: "datasets",
            keys: "`sha256-<hex>`",
            holds: "data sets (CSV), immutable, named by their digest",
            max_bytes: GIB,
            max_age: None,
        },
        AssetRole::Checkpoints => Facts {
            token: "checkpoints",
            keys: "`<job id>-<epoch>-<position>`",
            holds: "states of running jobs, from which another worker goes on",
            max_bytes: 768 * MIB,
            max_age: Some(DAY),
        },
        _ => Facts {
            token: "payloads",
            keys: "any name of its own",
            holds: "bodies of requests and replies that no message can hold, until who asked has removed them",
            max_bytes: 512 * MIB,
            max_age: Some(PAYLOADS_KEPT),
        },
    };
    asset(role, bucket_name(subjects, facts.token), AssetKind::ObjectStore, facts)
}

fn bucket(subjects: &Subjects, role: AssetRole) -> Asset {
    let (history, facts) = match role {
        AssetRole::Registry => (
            16,
            Facts {
                token: "registry",
                keys: "`<model>.version.<n>`, `<model>.alias.<name>`",
                holds: "`Manifest` and `Alias` (JSON)",
                max_bytes: 64 * MIB,
                max_age: None,
            },
        ),
        AssetRole::Desired => (
            8,
            Facts {
                token: "desired",
                keys: "`<model>`",
                holds: "`Deployment` (JSON)",
                max_bytes: 16 * MIB,
                max_age: None,
            },
        ),
        AssetRole::Actual => (
            1,
            Facts {
                token: "actual",
                keys: "`<worker>`",
                holds: "`WorkerLease` (JSON), renewed every 10 s",
                max_bytes: 16 * MIB,
                max_age: Some(Duration::from_millis(WorkerLease::HOLDS_MS)),
            },
        ),
        _ => (
            4,
            Facts {
                token: "jobs",
                keys: "`<job id>`",
                holds: "`JobStatus` (JSON)",
                max_bytes: 128 * MIB,
                max_age: Some(30 * DAY),
            },
        ),
    };
    asset(role, bucket_name(subjects, facts.token), AssetKind::KeyValue { history }, facts)
}

/// A full queue refuses jobs and none is ever too old: a job that was accepted is done or becomes a dead letter.
fn job_queue(subjects: &Subjects) -> Asset {
    let facts = Facts {
        token: "jobs",
        keys: "",
        holds: "`JobMessage` (JSON) until a worker is done with it",
        max_bytes: 64 * MIB,
        max_age: None,
    };
    let name = stream_name(subjects, facts.token);
    Asset {
        subjects: JobKind::ALL.map(|kind| subjects.job(kind)).to_vec(),
        max_message_bytes: Some(JOB_BYTES_MAX),
        duplicate_window: Some(DUPLICATES),
        ..asset(AssetRole::JobQueue, name, AssetKind::WorkQueue, facts)
    }
}

/// None is ever too old for the broker: a worker that finds one too late makes a dead letter of it, or the monitor when none finds it, so
/// that none is lost silently.
fn async_queue(subjects: &Subjects) -> Asset {
    let facts = Facts {
        token: "async",
        keys: "",
        holds: "`InferRequest` (JSON or MessagePack) until it is answered or given up",
        max_bytes: 256 * MIB,
        max_age: None,
    };
    let name = stream_name(subjects, facts.token);
    Asset {
        subjects: vec![subjects.async_infer_all()],
        max_message_bytes: Some(JOB_BYTES_MAX),
        duplicate_window: Some(DUPLICATES),
        ..asset(AssetRole::AsyncQueue, name, AssetKind::WorkQueue, facts)
    }
}

fn log(subjects: &Subjects, role: AssetRole) -> Asset {
    let facts = |token, holds, max_bytes, max_age| Facts {
        token,
        keys: "",
        holds,
        max_bytes,
        max_age: Some(max_age),
    };
    let (captured, facts) = match role {
        AssetRole::Events => (
            subjects.event_all(),
            facts("events", "`JobEvent` and `RolloutEvent` (JSON)", 128 * MIB, 7 * DAY),
        ),
        AssetRole::Monitor => {
            (subjects.monitor_all(), facts("monitor", "`Window` and `Alert` (JSON)", 128 * MIB, 7 * DAY))
        }
        AssetRole::Results => {
            let holds = "answers to durable requests, as the worker gave them";
            (subjects.result_all(), facts("result", holds, 256 * MIB, HOUR))
        }
        AssetRole::Label => {
            (subjects.label_all(), facts("label", "`Label` (JSON or MessagePack)", 256 * MIB, 30 * DAY))
        }
        AssetRole::Prediction => (
            subjects.prediction_all(),
            facts("prediction", "`PredictionBatch` (MessagePack)", 256 * MIB, DAY),
        ),
        _ => {
            let holds = "messages that were given up, the reason beside their own headers";
            (subjects.dead_letter_all(), facts("dead", holds, 128 * MIB, 30 * DAY))
        }
    };
    let name = stream_name(subjects, facts.token);
    let asset = asset(role, name, AssetKind::Log, facts);
    Asset { subjects: vec![captured], duplicate_window: Some(DUPLICATES), ..asset }
}

fn asset(role: AssetRole, name: String, kind: AssetKind, facts: Facts) -> Asset {
    Asset {
        role,
        name,
        kind,
        subjects: Vec::new(),
        keys: facts.keys,
        holds: facts.holds,
        max_bytes: facts.max_bytes,
        max_age: facts.max_age,
        max_message_bytes: None,
        duplicate_window: None,
    }
}

/// `leat` and `models` give `leat_models`.
fn bucket_name(subjects: &Subjects, token: &str) -> String {
    format!("{}_{token}", subjects.prefix())
}

/// `leat` and `jobs` give `LEAT_JOBS`.
fn stream_name(subjects: &Subjects, token: &str) -> String {
    format!("{}_{token}", subjects.prefix()).to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
