//! What the gateway and its models say of themselves over HTTP.

use leat_contract::{BatchFigures, ModelMetadata, TimeTotal};
use serde::Deserialize;
use serde_json::{Value, json};

use super::EXTENSIONS;
use crate::answer::Answer;
use crate::edge::Edge;
use crate::model_config::{self, ConfigTensor, ModelConfig};
use crate::refusal::Refusal;
use crate::repository;
use crate::route::Named;
use crate::statistics::{self, VersionStatistics};

/// What the gateway is called.
pub(crate) const SERVER_NAME: &str = "leat";

pub(crate) fn server() -> Result<Answer, Refusal> {
    Answer::document(&json!({
        "name": SERVER_NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": EXTENSIONS,
    }))
}

pub(crate) fn models(edge: &Edge) -> Result<Answer, Refusal> {
    Answer::document(&json!({ "models": edge.workers.served.models() }))
}

pub(crate) async fn model(edge: &Edge, named: &Named) -> Result<Answer, Refusal> {
    let ModelMetadata { name, versions, platform, inputs, outputs, .. } =
        edge.workers.metadata(&edge.workers.target(named)?).await?;
    Answer::document(&json!({
        "name": name,
        "versions": versions,
        "platform": platform,
        "inputs": inputs,
        "outputs": outputs,
    }))
}

pub(crate) async fn model_ready(edge: &Edge, named: &Named) -> Result<Answer, Refusal> {
    let metadata = edge.workers.metadata(&edge.workers.target(named)?).await?;
    Answer::document(&json!({ "name": metadata.name, "ready": true }))
}

pub(crate) async fn config(edge: &Edge, named: &Named) -> Result<Answer, Refusal> {
    Answer::document(&config_json(&edge.model_config(named).await?))
}

fn config_json(config: &ModelConfig) -> Value {
    let tensor = |tensor: &ConfigTensor| {
        let mut json = json!({
            "name": tensor.name,
            "data_type": model_config::type_name(tensor.datatype),
            "dims": tensor.dims,
        });
        if tensor.is_reshaped
            && let Some(object) = json.as_object_mut()
        {
            object.insert("reshape".to_owned(), json!({ "shape": [] }));
        }
        json
    };
    json!({
        "name": config.name,
        "platform": config.platform,
        "backend": config.platform,
        "version_policy": { "specific": { "versions": config.versions } },
        "max_batch_size": config.max_batch_size,
        "input": config.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "output": config.outputs.iter().map(tensor).collect::<Vec<_>>(),
        "dynamic_batching": {
            "preferred_batch_size": config.preferred_batch_size,
            "max_queue_delay_microseconds": config.max_queue_delay_microseconds,
        },
        "instance_group": [],
        "parameters": {},
        "model_transaction_policy": { "decoupled": false },
        "response_cache": { "enable": config.has_response_cache },
    })
}

pub(crate) async fn statistics(edge: &Edge, named: Option<&Named>) -> Result<Answer, Refusal> {
    let target = named.map(|named| edge.workers.target(named)).transpose()?;
    let versions = statistics::gather(&edge.workers, target.as_ref()).await?;
    Answer::document(&json!({ "model_stats": versions.iter().map(statistics_json).collect::<Vec<_>>() }))
}

fn statistics_json(version: &VersionStatistics) -> Value {
    let totals = version.totals;
    // How long looking took is not measured.
    let looked_up = |count| TimeTotal { count, ns: 0 };
    json!({
        "name": version.model,
        "version": version.version,
        "last_inference": totals.last_at,
        "inference_count": totals.rows,
        "execution_count": totals.batches,
        "inference_stats": {
            "success": totals.success, "fail": totals.fail, "queue": totals.queue,
            "compute_input": totals.input, "compute_infer": totals.compute, "compute_output": totals.output,
            "cache_hit": looked_up(totals.cache.hits), "cache_miss": looked_up(totals.cache.misses),
        },
        "response_stats": {},
        "batch_stats": version.batches.iter().map(batch_json).collect::<Vec<_>>(),
        "memory_usage": [],
    })
}

fn batch_json(batch: &BatchFigures) -> Value {
    json!({
        "batch_size": batch.size,
        "compute_input": batch.input, "compute_infer": batch.compute, "compute_output": batch.output,
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

pub(crate) async fn index(edge: &Edge, body: &[u8]) -> Result<Answer, Refusal> {
    let request: IndexRequest = optional(body)?;
    Answer::document(&repository::index(&edge.catalogue, request.ready).await?)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlRequest {
    #[serde(default)]
    parameters: ControlParameters,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlParameters {
    /// A number or an alias.
    #[serde(default)]
    version: Option<leat_contract::Scalar>,
    /// Nothing depends on a model of ours, so it changes nothing.
    #[serde(default, rename = "unload_dependents")]
    _unload_dependents: Option<bool>,
}

pub(crate) async fn load(edge: &Edge, model: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let request: ControlRequest = optional(body)?;
    let version = request.parameters.version.map(|version| version.to_string());
    let timeout = std::time::Duration::from_millis(edge.settings.load_timeout_ms);
    repository::load(&edge.catalogue, model, version.as_deref(), timeout).await?;
    Ok(Answer::empty())
}

pub(crate) async fn unload(edge: &Edge, model: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let _: ControlRequest = optional(body)?;
    repository::unload(&edge.catalogue, &edge.workers, model).await?;
    Ok(Answer::empty())
}

/// Orders are short; reading a long text would delay what else the thread carries.
const ORDER_BYTES_MAX: usize = 64 * 1024;

/// A JSON object, or nothing at all.
fn optional<T: Default + for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Refusal> {
    if body.len() > ORDER_BYTES_MAX {
        let message = format!("the body has more than {ORDER_BYTES_MAX} bytes, the limit of this path");
        return Err(Refusal::too_large(message));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::invalid("the body is no JSON object".to_owned()));
    }
    leat_contract::decode_json(body).map_err(Refusal::from)
}

impl Edge {
    /// How a model is served.
    ///
    /// # Errors
    /// 404 or 503 when no worker serves it.
    pub(crate) async fn model_config(&self, named: &Named) -> Result<ModelConfig, Refusal> {
        let target = self.workers.target(named)?;
        let metadata = self.workers.metadata(&target).await?;
        let deployment = self.workers.served.deployment(&target.model);
        Ok(model_config::of(&metadata, deployment.as_ref()))
    }
}
