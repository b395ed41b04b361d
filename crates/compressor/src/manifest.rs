//! What the registry is told about a compressed model.

use leat_contract::{
    self as contract, DatasetRef, Digest, ErrorCode, LatencyBefore, Manifest, ManifestLatency,
};
use leat_engine::{compile, measure};
use leat_model::{Body, CompressionReport, Model, Task};
use leat_service_runtime::jobs::Failure;
use leat_training::Dataset;
use serde::Serialize;
use serde_json::{Map, Value};

const NANOSECONDS_PER_MICROSECOND: f64 = 1_000.0;

/// The parent and what it was measured with.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) model: &'a Model,
    pub(crate) dataset: DatasetRef,
    pub(crate) held_out: &'a Dataset,
}

/// Describes a model that was made from `origin`. Version and time are set when it is registered.
pub(crate) fn describe(origin: Origin<'_>, model: &Model, blob: &[u8]) -> Result<Manifest, Failure> {
    let (parameters, encoding) = match &model.body {
        Body::Network(network) => (network.parameters(), network.encoding_summary()),
        Body::Onnx(_) => (0, "onnx".to_owned()),
    };
    let parent = origin.manifest;
    let metrics = model.compression.last().map(|report| report.held_out_after.clone());
    Ok(Manifest {
        digest: Digest::new(leat_model::Digest::of(blob).as_str()).map_err(defect)?,
        bytes: blob.len() as u64,
        task: match model.task {
            Task::Regression => contract::Task::Regression,
            Task::Classification => contract::Task::Classification,
        },
        created_at: 0,
        job: None,
        parent: Some(parent.version),
        dataset: Some(origin.dataset),
        metrics: metrics.unwrap_or_default(),
        parameters,
        encoding,
        features: model.signature.features.clone(),
        labels: model.signature.labels.clone(),
        compression: model.compression.iter().map(step_as_map).collect::<Result<_, _>>()?,
        training: model.training.as_ref().map(as_map).transpose()?,
        latency: Some(latency(origin.model, model, origin.held_out)?),
        deleted: false,
        ..parent.clone()
    })
}

/// How fast both models answer a single row on this machine, measured in turns.
fn latency(before: &Model, after: &Model, held_out: &Dataset) -> Result<ManifestLatency, Failure> {
    let (before, after) = (compile(before).map_err(defect)?, compile(after).map_err(defect)?);
    let rows = held_out.rows.as_standard_layout();
    let (before, after) =
        measure::compare(before.as_ref(), after.as_ref(), 1, rows.as_slice().unwrap_or_default())
            .map_err(defect)?;
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / NANOSECONDS_PER_MICROSECOND;
    Ok(ManifestLatency {
        batch: 1,
        p50_us: microseconds(after.p50_ns),
        p99_us: microseconds(after.p99_ns),
        before: Some(LatencyBefore {
            p50_us: microseconds(before.p50_ns),
            p99_us: microseconds(before.p99_ns),
        }),
    })
}

/// The report of a step, the step itself as JSON instead of text.
fn step_as_map(report: &CompressionReport) -> Result<Map<String, Value>, Failure> {
    let mut map = as_map(report)?;
    if let Ok(step) = serde_json::from_str(&report.step) {
        map.insert("step".to_owned(), step);
    }
    Ok(map)
}

fn as_map(report: &impl Serialize) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(report).map_err(defect)? {
        Value::Object(map) => Ok(map),
        _ => Err(defect("a report is not written as an object")),
    }
}

/// What cannot go wrong with models that were just evaluated.
fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::refused(ErrorCode::Internal, error.to_string())
}
