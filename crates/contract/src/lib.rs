//! Every message, subject, header and error code on the wire, and the name and limits of everything that is stored.
//!
//! Two services meet only here. The crate writes and reads bytes; it never opens a connection, looks at a clock, runs a
//! model or trusts a length that it did not count itself.
//!
//! Reading order: [`version`], [`subjects`], the names ([`ModelName`], [`ModelRef`], [`RequestId`]), [`codec`], the
//! inference messages ([`InferRequest`], [`InferResponse`], [`TensorData`]), [`ErrorCode`], jobs ([`JobSpec`],
//! [`JobStatus`], [`JobEvent`]), the documents ([`Manifest`], [`Deployment`], [`WorkerLease`]), observation
//! ([`Label`], [`PredictionBatch`], [`WorkerTelemetry`], [`Window`], [`Alert`]), [`micro`], and [`assets`].
//!
//! The folder `proto/` says the same without Rust. Its tables and schemas are made from these types by
//! `LEAT_UPDATE=1 cargo test -p leat-contract`, and a test fails when they are stale.

mod control;
mod deployment;
mod error;
mod error_code;
mod figures;
mod identity;
mod infer;
mod job_status;
mod jobs;
mod label;
mod lease;
mod metadata;
mod model_reference;
mod monitoring;
mod prediction;
mod registry;
mod rollout_event;
mod scalar;
mod telemetry;

pub mod assets;
pub mod codec;
pub mod headers;
pub mod limits;
pub mod micro;
pub mod server_version;
pub mod subjects;
pub mod version;

pub use assets::{Asset, AssetKind, AssetRole};
pub use codec::{Encoding, decode, decode_json, encode};
pub use control::{ControlVerb, DrainReply, DrainRequest, PingReply};
pub use deployment::{
    Batching, Caching, Canary, Deployment, DeploymentLimits, Pipeline, PipelineMember, PipelineMode,
    Recording, Route, Shadow,
};
pub use error::Error;
pub use error_code::{ErrorBody, ErrorCode, ErrorDetail};
pub use figures::{
    BatchFigures, CacheFigures, InferenceFigures, ShadowFigures, TimeTotal, VersionFigures, VersionTotals,
};
pub use identity::{AliasName, Digest, JobId, ModelName, RequestId, WorkerId};
pub use infer::{
    Datatype, DurableRequest, Envelope, FeatureRows, InferReference, InferRequest, InferResponse, Instances,
    Parameters, PlainReplies, PlainRequest, PredictionsResponse, Priority, ReplyForm, RequestBody,
    RequestedOutput, Tensor, TensorData,
};
pub use job_status::{CheckpointRef, JobEvent, JobEventKind, JobProgress, JobResult, JobState, JobStatus};
pub use jobs::{
    Activation, Calibration, ClipMode, CompressSpec, CompressStep, DatasetRef, EarlyStopping, JobKind,
    JobMessage, JobSpec, Loss, Optimiser, Prune, PruneScope, Quantize, Task, TrainSpec,
};
pub use label::{Label, LabelValue};
pub use lease::{LoadState, LoadedVersion, WorkerLease};
pub use metadata::{ModelMetadata, TensorMetadata};
pub use model_reference::{ModelRef, ModelVersion, VersionRef};
pub use monitoring::{
    Accuracy, Alert, AlertState, Interval, Quantiles, VersionWindow, Window, WorkerResources,
};
pub use prediction::{PredictedValue, PredictionBatch, PredictionRecord};
pub use registry::{Alias, LatencyBefore, Manifest, ManifestLatency};
pub use rollout_event::{RolloutEnd, RolloutEvent};
pub use scalar::Scalar;
pub use subjects::Subjects;
pub use telemetry::{ModelTelemetry, ProcessTelemetry, RunTimes, ShadowCounts, WorkerTelemetry};
pub use version::ContractVersion;
