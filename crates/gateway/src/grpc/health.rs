//! The health protocol of gRPC.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};

use crate::connection::Running;
use crate::edge::Edge;
use crate::wire::health::health_check_response::ServingStatus;
use crate::wire::health::health_server::Health;
use crate::wire::health::{HealthCheckRequest, HealthCheckResponse};

/// The services that can be asked about; the empty name is the gateway as a whole.
const KNOWN: [&str; 3] = ["", "inference.GRPCInferenceService", "grpc.health.v1.Health"];

/// Whether requests are taken.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    edge: Arc<Edge>,
}

impl Serving {
    pub(super) fn new(edge: &Arc<Edge>) -> Self {
        Self { edge: edge.clone() }
    }
}

type Watching = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Serving {
    type WatchStream = Watching;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !KNOWN.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(status(self.edge.readiness.is_ready())))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watching>, Status> {
        let running = request.extensions().get::<Running>().cloned();
        if !KNOWN.contains(&request.get_ref().service.as_str()) {
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            return Ok(Response::new(Box::pin(stream::iter([Ok(unknown)]))));
        }
        let changes =
            stream::unfold((self.edge.clone(), None::<bool>, running), |(edge, told, running)| async move {
                if let Some(told) = told {
                    edge.readiness.wait(!told).await;
                }
                let is_ready = edge.readiness.is_ready();
                Some((Ok(status(is_ready)), (edge, Some(is_ready), running)))
            });
        Ok(Response::new(Box::pin(changes)))
    }
}

fn status(is_ready: bool) -> HealthCheckResponse {
    let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
