//! What every reply over HTTP gets at the end.

use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::Full;
use leat_service_runtime::Metrics;
use tracing::debug;

use super::REQUEST_ID;
use crate::answer::Answer;
use crate::coding::Coding;
use crate::parts::by_size;
use crate::refusal::Refusal;
use crate::v2::infer::request_id;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The reply in the coding that its caller accepts, when that is worth it.
pub(super) async fn compressed(mut answer: Answer, request: &HeaderMap) -> Answer {
    let Some(coding) = Coding::of_reply(request, answer.bytes.len()) else { return answer };
    let whole = answer.bytes.clone();
    if let Ok(Some(coded)) = by_size(whole.len(), move || coding.encode(&whole)).await {
        answer.bytes = coded;
        answer.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        answer.headers.append(VARY, HeaderValue::from(ACCEPT_ENCODING));
    }
    answer
}

/// The reply with the name of its request, which is a new one when the caller gave none.
pub(super) fn response(answer: Answer, request: &Parts, began: Instant) -> Response<Full<Bytes>> {
    let id = match request_id(&request.headers) {
        Some(id) => HeaderValue::from_str(id.as_str()).ok(),
        None => HeaderValue::from_str(&nuid::next()).ok(),
    };
    if answer.status.is_client_error() || answer.status.is_server_error() {
        let (method, path, status) = (&request.method, request.uri.path(), answer.status.as_u16());
        debug!(?id, %method, path, status, elapsed_us = began.elapsed().as_micros(), "a request was refused");
    }
    let mut response = Response::new(Full::new(answer.bytes));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Every metric of this service.
pub(super) fn metrics(metrics: &Metrics) -> Result<Answer, Refusal> {
    let text = metrics.encode().map_err(|error| Refusal::internal(error.to_string()))?;
    Ok(Answer::typed(OPENMETRICS, text))
}
