//! What every reply over HTTP gets at the end.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::Full;
use leat_service_runtime::Metrics;

use crate::answer::Answer;
use crate::coding::Coding;
use crate::parts::by_size;
use crate::refusal::Refusal;

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

/// The reply as it goes out.
pub(super) fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.bytes));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// Every metric of this service.
pub(super) fn metrics(metrics: &Metrics) -> Result<Answer, Refusal> {
    let text = metrics.encode().map_err(|error| Refusal::internal(error.to_string()))?;
    Ok(Answer::typed(OPENMETRICS, text))
}
