//! W3C trace context in message headers: a trace goes through the broker as through a function call.

use leat_contract::headers::{TRACEPARENT, TRACESTATE};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{Headers, Message};

/// Writes the context of the current span into headers; nothing when nothing is traced, which costs next to nothing,
/// and nothing when they have a context already.
pub fn inject(headers: &mut Headers) {
    let span = Span::current();
    if span.is_disabled() || headers.get(TRACEPARENT).is_some() {
        return;
    }
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return;
    }
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeadersOut(headers));
    });
}

/// Makes the sender's span the parent of `span`. Costs nothing for messages that carry no trace.
pub fn extract(message: &Message, span: &Span) {
    if let Some(parent) = message.header(TRACEPARENT) {
        connect(span, (parent, message.header(TRACESTATE)));
    }
}

/// Makes the span that the headers `traceparent` and `tracestate` of a request name the parent of `span`.
pub fn connect(span: &Span, (parent, state): (&str, Option<&str>)) {
    let headers = HeadersIn { parent, state };
    let context = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&headers));
    // It fails only when the span has ended or is not recorded: then there is nothing to connect.
    let _ = span.set_parent(context);
}

struct HeadersOut<'a>(&'a mut Headers);

impl Injector for HeadersOut<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key, value);
    }
}

struct HeadersIn<'a> {
    parent: &'a str,
    state: Option<&'a str>,
}

impl Extractor for HeadersIn<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(self.parent),
            TRACESTATE => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}
