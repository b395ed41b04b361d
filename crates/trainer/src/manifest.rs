//! What the registry is told about a trained model.

use leat_contract::{
    self as contract, Digest, ErrorCode, Manifest, ManifestLatency, ModelVersion, TrainSpec,
};
use leat_engine::{compile, measure};
use leat_model::{Body, Model, Task};
use leat_service_runtime::jobs::Failure;
use leat_training::Dataset;
use serde_json::{Map, Value};

const NANOSECONDS_PER_MICROSECOND: f64 = 1_000.0;

/// Describes a model that was trained as `spec` says. Version and time are set when it is registered.
pub(crate) fn describe(
    spec: &TrainSpec,
    model: &Model,
    blob: &[u8],
    held_out: &Dataset,
) -> Result<Manifest, Failure> {
    let (parameters, encoding) = match &model.body {
        Body::Network(network) => (network.parameters(), network.encoding_summary()),
        Body::Onnx(_) => (0, "onnx".to_owned()),
    };
    let report = model.training.as_ref();
    Ok(Manifest {
        model: spec.model.clone(),
        version: ModelVersion::FIRST,
        digest: Digest::new(leat_model::Digest::of(blob).as_str()).map_err(defect)?,
        bytes: blob.len() as u64,
        task: match model.task {
            Task::Regression => contract::Task::Regression,
            Task::Classification => contract::Task::Classification,
        },
        created_at: 0,
        job: None,
        parent: None,
        dataset: Some(spec.dataset.clone()),
        target: Some(spec.target.clone()),
        metrics: report.map(|report| report.held_out.clone()).unwrap_or_default(),
        parameters,
        encoding,
        features: model.signature.features.clone(),
        labels: model.signature.labels.clone(),
        training: report.map(as_map).transpose()?,
        compression: Vec::new(),
        latency: Some(latency(model, held_out)?),
        deleted: false,
    })
}

/// How fast the model answers a single row on this machine.
fn latency(model: &Model, held_out: &Dataset) -> Result<ManifestLatency, Failure> {
    let plan = compile(model).map_err(defect)?;
    let rows = held_out.rows.as_standard_layout();
    let measured = measure::latency(plan.as_ref(), 1, rows.as_slice().unwrap_or_default()).map_err(defect)?;
    Ok(ManifestLatency {
        batch: 1,
        p50_us: measured.p50_ns as f64 / NANOSECONDS_PER_MICROSECOND,
        p99_us: measured.p99_ns as f64 / NANOSECONDS_PER_MICROSECOND,
        before: None,
    })
}

fn as_map(report: &leat_model::TrainingReport) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(report).map_err(defect)? {
        Value::Object(map) => Ok(map),
        other => Err(defect(format!("a report is written as {other}"))),
    }
}

/// What cannot go wrong with a model that was just trained.
fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::refused(ErrorCode::Internal, error.to_string())
}
