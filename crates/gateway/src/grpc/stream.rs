//! A stream of requests, answered in their order.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use tonic::{Status, Streaming};

use super::inference::infer;
use crate::connection::Running;
use crate::edge::Edge;
use crate::refusal::Refusal;
use crate::wire::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};

/// Requests of one stream that are asked at the same time; their answers wait for each other.
const AT_ONCE: usize = 16;
/// A client that sets this wants a failure as the end of the stream, with its code.
const AS_STATUS: &str = "triton_grpc_error";

pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// The answers to a stream. A request that fails is told in its place; the stream goes on, unless its client wants a status.
pub(super) fn answers(
    edge: Arc<Edge>,
    headers: HeaderMap,
    requests: Streaming<ModelInferRequest>,
    running: Option<Running>,
) -> Answers {
    let as_status = headers.get(AS_STATUS).is_some_and(|value| value == "true");
    let headers = Arc::new(headers);
    let answers = requests.map(move |request| {
        let (edge, headers) = (edge.clone(), headers.clone());
        async move {
            let answered = match request {
                Ok(request) => infer(&edge, &headers, request).await,
                Err(status) => return Err(status),
            };
            told(answered, as_status)
        }
    });
    let ordered = answers.buffered(AT_ONCE);
    Box::pin(ordered.map(move |answer| {
        // The connection counts as busy as long as its stream is there.
        let _running = &running;
        answer
    }))
}

fn told(
    answered: Result<ModelInferResponse, Refusal>,
    as_status: bool,
) -> Result<ModelStreamInferResponse, Status> {
    match answered {
        Ok(response) => {
            Ok(ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) })
        }
        Err(refusal) if as_status => Err(refusal.into()),
        Err(refusal) => Ok(ModelStreamInferResponse { error_message: refusal.message, infer_response: None }),
    }
}
