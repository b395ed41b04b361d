//! The methods of `inference.GRPCInferenceService`.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use leat_contract::InferResponse;
use tonic::{Request, Response, Status, Streaming};

use super::{answers, deadline, decoded, messages, stream, tensors};
use crate::connection::Running;
use crate::edge::Edge;
use crate::elements;
use crate::memory::Share;
use crate::parts::{self, by_size};
use crate::refusal::Refusal;
use crate::v2::describe::SERVER_NAME;
use crate::v2::{EXTENSIONS, infer::request_id};
use crate::wire::inference::grpc_inference_service_server::GrpcInferenceService;
use crate::wire::inference::model_repository_parameter::ParameterChoice;
use crate::wire::inference::repository_index_response::ModelIndex;
use crate::wire::inference::*;
use crate::{repository, statistics};

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Inference {
    edge: Arc<Edge>,
}

impl Inference {
    pub(super) fn new(edge: &Arc<Edge>) -> Self {
        Self { edge: edge.clone() }
    }
}

/// Asks for one prediction; the share is that of the message.
///
/// # Errors
/// What is wrong with the request, or why no worker answers.
pub(super) async fn infer(
    edge: &Edge,
    headers: &HeaderMap,
    (message, _share): (ModelInferRequest, Share),
) -> Result<ModelInferResponse, Refusal> {
    let bytes = tensors::bytes_of(&message);
    let (named, mut request) = by_size(bytes, move || messages::read(message)).await??;
    let target = edge.workers.target(&named)?;
    let mut call = edge.call(headers);
    if let Some(deadline) = deadline(headers) {
        call.timeout = edge.settings.at_most(deadline);
    }
    edge.bound(&mut request, &mut call);
    if request.id.is_none() {
        request.id = request_id(headers);
    }
    let response: InferResponse =
        parts::ask(&edge.workers, &target, request, (&call, edge.settings.parts_at_once)).await?;
    let bytes = elements::bytes_of(&response.outputs);
    by_size(bytes, move || messages::write(response)).await
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    type ModelStreamInferStream = stream::Answers;

    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.edge.readiness.is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        let target = self.edge.workers.target(&messages::named(name, version));
        let ready = match target {
            Ok(target) => self.edge.workers.metadata(&target).await.is_ok(),
            Err(_) => false,
        };
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: SERVER_NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: EXTENSIONS.map(ToOwned::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let target = self.edge.workers.target(&messages::named(name, version))?;
        let metadata = self.edge.workers.metadata(&target).await?;
        Ok(Response::new(ModelMetadataResponse {
            name: metadata.name.to_string(),
            versions: metadata.versions,
            platform: metadata.platform,
            inputs: metadata.inputs.into_iter().map(answers::tensor).collect(),
            outputs: metadata.outputs.into_iter().map(answers::tensor).collect(),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let share = decoded::share(self.edge.bodies.memory(), tensors::bytes_of(&message))?;
        Ok(Response::new(infer(&self.edge, &metadata.into_headers(), (message, share)).await?))
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<stream::Answers>, Status> {
        let (metadata, extensions, requests) = request.into_parts();
        let running = extensions.get::<Running>().cloned();
        Ok(Response::new(stream::answers(self.edge.clone(), metadata.into_headers(), requests, running)))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let ModelConfigRequest { name, version } = request.into_inner();
        let config = self.edge.model_config(&messages::named(name, version)).await?;
        Ok(Response::new(ModelConfigResponse { config: Some(answers::config(config)) }))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let workers = &self.edge.workers;
        let target =
            if name.is_empty() { None } else { Some(workers.target(&messages::named(name, version))?) };
        let versions = statistics::gather(workers, target.as_ref()).await?;
        let model_stats = versions.into_iter().map(answers::statistics).collect();
        Ok(Response::new(ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let entries = repository::index(&self.edge.catalogue, request.get_ref().ready).await?;
        let entry = |entry: repository::IndexEntry| ModelIndex {
            name: entry.name,
            version: entry.version,
            state: entry.state.to_owned(),
            reason: entry.reason,
        };
        Ok(Response::new(RepositoryIndexResponse { models: entries.into_iter().map(entry).collect() }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        let RepositoryModelLoadRequest { model_name, parameters, .. } = request.into_inner();
        let version = version(parameters)?;
        let timeout = Duration::from_millis(self.edge.settings.load_timeout_ms);
        repository::load(&self.edge.catalogue, &model_name, version.as_deref(), timeout).await?;
        Ok(Response::new(RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Result<Response<RepositoryModelUnloadResponse>, Status> {
        let model = &request.get_ref().model_name;
        repository::unload(&self.edge.catalogue, &self.edge.workers, model).await?;
        Ok(Response::new(RepositoryModelUnloadResponse {}))
    }
}

/// The version that loading shall take.
fn version(
    parameters: std::collections::HashMap<String, ModelRepositoryParameter>,
) -> Result<Option<String>, Refusal> {
    let mut version = None;
    for (name, parameter) in parameters {
        match (name.as_str(), parameter.parameter_choice) {
            ("version", Some(ParameterChoice::StringParam(text))) => version = Some(text),
            ("version", Some(ParameterChoice::Int64Param(number))) => version = Some(number.to_string()),
            _ => {
                let name: String = name.chars().take(64).collect();
                return Err(Refusal::unsupported(format!("the parameter {name:?} of loading")));
            }
        }
    }
    Ok(version)
}
