//! By what a request is found again: its id, and its span for those who trace.

use http::{HeaderMap, Method, Request, Response};
use leat_contract::headers::{TRACEPARENT, TRACESTATE};
use leat_messaging::{Headers, trace};
use tracing::{Span, field, info_span};

use crate::v2::infer::request_id;

/// The name of a request, which its reply and its span have too: a new one when its caller gave none. One that the caller gave goes on to
/// the worker, unless the body has an id of its own; a new one does not, because predictions are recorded for requests that somebody named.
pub(super) fn id(headers: &HeaderMap) -> String {
    request_id(headers).map_or_else(|| nuid::next().to_string(), |id| id.to_string())
}

/// The span of a request that belongs to a trace. One that does not and asks for something, unlike the probes of health, begins a trace
/// where spans are collected; elsewhere its span is a disabled one, which costs nothing.
pub(super) fn span<B>(request: &Request<B>, id: &str, begins: bool) -> Span {
    let parent = header(request.headers(), TRACEPARENT);
    if parent.is_none() && !(begins && request.method() == Method::POST) {
        return Span::none();
    }
    // Named as OpenTelemetry names what a server of HTTP does.
    let span = info_span!(
        "request",
        otel.kind = "server",
        request.id = id,
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        http.response.status_code = field::Empty,
        rpc.grpc.status_code = field::Empty,
    );
    if let Some(parent) = parent {
        trace::connect(&span, (parent, header(request.headers(), TRACESTATE)));
    }
    span
}

/// Notes how the request ended. A call of gRPC that begins a reply says so behind it.
pub(super) fn note<B>(span: &Span, reply: &Response<B>) {
    // Signed, since the attributes of a span know no other whole numbers: an unsigned one would be a text.
    span.record("http.response.status_code", i64::from(reply.status().as_u16()));
    let code = reply.headers().get("grpc-status").and_then(|code| code.to_str().ok());
    if let Some(code) = code.and_then(|code| code.parse::<i64>().ok()) {
        span.record("rpc.grpc.status_code", code);
    }
}

/// What goes on to the worker: the context of the span, or where no span is recorded that which the request came with.
pub(super) fn carried(headers: &HeaderMap) -> Headers {
    let mut carried = Headers::new();
    trace::inject(&mut carried);
    if carried.is_empty() {
        for name in [TRACEPARENT, TRACESTATE] {
            if let Some(value) = header(headers, name) {
                carried.insert(name, value);
            }
        }
    }
    carried
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
