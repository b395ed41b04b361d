//! Status and metadata of a model in TensorFlow Serving's words.

use leat_contract::{Datatype, ModelMetadata, ModelVersion, TensorMetadata};
use serde_json::{Map, Value, json};

use super::tensors::SIGNATURE;
use crate::answer::Answer;
use crate::edge::Edge;
use crate::refusal::Refusal;
use crate::repository;
use crate::route::Named;

/// How each version of a model stands, or one of them.
pub(crate) async fn status(edge: &Edge, named: &Named) -> Result<Answer, Refusal> {
    let target = edge.workers.target(named)?;
    let unknown = || {
        let short: String = named.model.chars().take(64).collect();
        Refusal::not_found(format!("Could not find any versions of model {short}"))
    };
    let deployment = edge.workers.served.deployment(&target.model).ok_or_else(unknown)?;
    let live = edge.catalogue.live_workers().await?;
    let wanted = |version: &ModelVersion| target.version.is_none_or(|wanted| wanted == *version);
    // The newest first, as TensorFlow Serving lists them.
    let mut versions: Vec<ModelVersion> =
        deployment.routes.iter().map(|route| route.version).filter(wanted).collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    if versions.is_empty() {
        return Err(unknown());
    }
    let entries = versions.into_iter().map(|version| {
        let (state, reason) = repository::state(&live, &target.model, version);
        let (state, code) = match state {
            "READY" => ("AVAILABLE", "OK"),
            "LOADING" => ("LOADING", "OK"),
            _ if reason == "unloaded" => ("START", "OK"),
            _ => ("END", "UNKNOWN"),
        };
        let message = if code == "OK" { String::new() } else { reason };
        json!({
            "version": version.to_string(),
            "state": state,
            "status": { "error_code": code, "error_message": message },
        })
    });
    Answer::document(&json!({ "model_version_status": entries.collect::<Vec<_>>() }))
}

/// What a model takes and gives.
pub(crate) async fn metadata(edge: &Edge, named: &Named) -> Result<Answer, Refusal> {
    let target = edge.workers.target(named)?;
    let metadata = edge.workers.metadata(&target).await?;
    let version = metadata.version.as_ref().or(metadata.versions.last());
    Answer::document(&document(&metadata, version.map_or("", String::as_str)))
}

fn document(metadata: &ModelMetadata, version: &str) -> Value {
    let signature = json!({
        "inputs": tensors(&metadata.inputs),
        "outputs": tensors(&metadata.outputs),
        "method_name": "tensorflow/serving/predict",
    });
    json!({
        "model_spec": { "name": metadata.name, "signature_name": "", "version": version },
        "metadata": { "signature_def": { "signature_def": { SIGNATURE: signature } } },
    })
}

fn tensors(tensors: &[TensorMetadata]) -> Map<String, Value> {
    let entry = |tensor: &TensorMetadata| {
        let dimension = |length: &i64| json!({ "size": length.to_string(), "name": "" });
        let shape =
            json!({ "dim": tensor.shape.iter().map(dimension).collect::<Vec<_>>(), "unknown_rank": false });
        let value = json!({ "dtype": dtype(tensor.datatype), "tensor_shape": shape, "name": format!("{}:0", tensor.name) });
        (tensor.name.clone(), value)
    };
    tensors.iter().map(entry).collect()
}

const fn dtype(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "DT_BOOL",
        Datatype::Uint8 => "DT_UINT8",
        Datatype::Uint16 => "DT_UINT16",
        Datatype::Uint32 => "DT_UINT32",
        Datatype::Uint64 => "DT_UINT64",
        Datatype::Int8 => "DT_INT8",
        Datatype::Int16 => "DT_INT16",
        Datatype::Int32 => "DT_INT32",
        Datatype::Int64 => "DT_INT64",
        Datatype::Fp32 => "DT_FLOAT",
        Datatype::Fp64 => "DT_DOUBLE",
        Datatype::Bytes => "DT_STRING",
    }
}
