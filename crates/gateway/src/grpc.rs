//! gRPC: the Open Inference Protocol and the health protocol, on the same workers as HTTP.

mod answers;
pub(crate) mod codec;
mod decoded;
mod fields;
mod health;
mod in_time;
mod inference;
mod messages;
mod metered;
mod stream;
mod tensors;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tower_service::Service;

use metered::{Messages, Metered};

use crate::edge::{Connected, Edge};
use crate::keys::Right;
use crate::refusal::Refusal;
use crate::wire::health::health_server::HealthServer;
use crate::wire::inference::grpc_inference_service_server::GrpcInferenceServiceServer;

/// Where the two services are found.
const INFERENCE: &str = "/inference.GRPCInferenceService/";
const HEALTH: &str = "/grpc.health.v1.Health/";

/// The two services.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    inference: GrpcInferenceServiceServer<inference::Inference>,
    health: HealthServer<health::Serving>,
}

impl Services {
    pub(crate) fn new(edge: &Arc<Edge>) -> Self {
        let inference = GrpcInferenceServiceServer::new(inference::Inference::new(edge))
            .max_decoding_message_size(edge.settings.body_bytes_max)
            .max_encoding_message_size(usize::MAX)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Deflate)
            .send_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Deflate);
        Self { inference, health: HealthServer::new(health::Serving::new(edge)) }
    }
}

/// Answers one call; whatever happens there is a status.
pub(crate) async fn answer(
    connected: &Connected,
    request: Request<Incoming>,
    began: Instant,
) -> Response<tonic::body::Body> {
    let edge = &connected.edge;
    let (operation, right) = operation(request.uri().path());
    let admitted = right.map_or(Ok(()), |right| edge.keys.borrow().admit(request.headers(), right, began));
    let reply = match admitted {
        Err(refusal) => Status::from(refusal).into_http(),
        Ok(()) => {
            let messages = if operation == "stream" { Messages::Many } else { Messages::One };
            let memory = edge.bodies.memory();
            let request = request.map(|body| Metered::new(body, messages, memory, edge.bodies.timeout()));
            let call = decoded::counted(memory, call(connected.grpc.clone(), request));
            within(edge, operation, call).await
        }
    };
    let reply = worded(reply);
    // A call that ends well says so behind its body.
    let code = status_of(reply.headers()).unwrap_or(Code::Ok);
    let code = u16::try_from(code as i32).unwrap_or(u16::MAX);
    edge.metrics.answered("grpc", operation, code, began);
    reply
}

async fn call(mut services: Services, request: Request<Metered<Incoming>>) -> Response<tonic::body::Body> {
    let path = request.uri().path();
    let answered = if path.starts_with(INFERENCE) {
        services.inference.call(request).await
    } else if path.starts_with(HEALTH) {
        services.health.call(request).await
    } else {
        Ok(Status::unimplemented("there is no such service").into_http())
    };
    answered.unwrap_or_else(|never| match never {})
}

/// Ends a call whose client does not send its message in time. Streams and watches begin at once and then take as long as
/// they take.
async fn within(
    edge: &Edge,
    operation: &'static str,
    call: impl Future<Output = Response<tonic::body::Body>>,
) -> Response<tonic::body::Body> {
    let (longest, setting) = match operation {
        "load" | "unload" => (Duration::from_millis(edge.settings.load_timeout_ms), "load_timeout_ms"),
        _ => (edge.settings.at_most(Duration::MAX), "request_timeout_max_ms"),
    };
    let limit = longest + Duration::from_millis(edge.settings.body_timeout_ms);
    let message =
        || format!("the call took longer than {limit:?} (settings gateway.{setting} and body_timeout_ms)");
    let late = || Status::from(Refusal::slow(message())).into_http();
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| late())
}

/// The name of a method in metrics, and what its caller must be allowed to do.
fn operation(path: &str) -> (&'static str, Option<Right>) {
    let Some(method) = path.strip_prefix(INFERENCE) else {
        return if path.starts_with(HEALTH) { ("health", None) } else { ("unknown", Some(Right::Ask)) };
    };
    let operation = match method {
        "ServerLive" => return ("live", None),
        "ServerReady" => return ("ready", None),
        "RepositoryModelLoad" => return ("load", Some(Right::Manage)),
        "RepositoryModelUnload" => return ("unload", Some(Right::Manage)),
        "ModelInfer" => "infer",
        "ModelStreamInfer" => "stream",
        "ModelReady" => "model_ready",
        "ServerMetadata" => "server",
        "ModelMetadata" => "metadata",
        "ModelConfig" => "config",
        "ModelStatistics" => "statistics",
        "RepositoryIndex" => "index",
        _ => "unknown",
    };
    (operation, Some(Right::Ask))
}

fn status_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// The same reply, as [`with_setting`] words it.
fn worded(reply: Response<tonic::body::Body>) -> Response<tonic::body::Body> {
    match Status::from_header_map(reply.headers()) {
        Some(status) if is_of_transport(&status) => with_setting(status).into_http(),
        _ => reply,
    }
}

/// Names the setting where the transport refuses a message that is too long: it knows the limit alone.
fn with_setting(status: Status) -> Status {
    if !is_of_transport(&status) {
        return status;
    }
    let message = status.message().trim_start_matches("Error").trim_start_matches([',', ' ']);
    Status::out_of_range(format!("{message} (setting gateway.body_bytes_max)"))
}

fn is_of_transport(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().starts_with("Error")
}

/// The longest time that a caller gives a call (`grpc-timeout`).
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    // At most eight digits, says the protocol.
    let number: u64 = if number.len() <= 8 { number.parse().ok()? } else { return None };
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_the_protocol_writes_them() {
        let of = |value: &str| {
            deadline(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(of("2S"), Some(Duration::from_secs(2)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "5", "S", "999999999S", "5x", "-5S"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_health_needs_no_key() {
        assert_eq!(operation("/grpc.health.v1.Health/Check").1, None);
        assert_eq!(operation("/inference.GRPCInferenceService/ServerLive").1, None);
        assert_eq!(operation("/inference.GRPCInferenceService/ModelInfer").1, Some(Right::Ask));
        assert_eq!(operation("/inference.GRPCInferenceService/RepositoryModelLoad").1, Some(Right::Manage));
        assert_eq!(operation("/other.Service/Method").1, Some(Right::Ask));
    }
}
