use std::time::Duration;

use leat_messaging::{Headers, trace};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{connection, soon, unique_subjects};

#[tokio::test]
async fn a_trace_goes_through_the_broker() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _active = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let connection = connection().await;
    let subject = format!("{}.traced", unique_subjects().prefix());
    let mut messages = connection.subscribe(subject.clone()).await.unwrap();
    let sender = tracing::info_span!("sender");
    let mut headers = Headers::new();
    sender.in_scope(|| trace::inject(&mut headers));
    connection.publish_with(subject.clone(), headers, "").await.unwrap();
    connection.publish(subject, "").await.unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();

    let traced = soon("a message", messages.next()).await.unwrap();
    let receiver = tracing::info_span!("receiver");
    trace::extract(&traced, &receiver);
    let trace_of = |span: &tracing::Span| span.context().span().span_context().trace_id();
    assert_eq!(trace_of(&receiver), trace_of(&sender));

    let plain = soon("a message", messages.next()).await.unwrap();
    let alone = tracing::info_span!("alone");
    trace::extract(&plain, &alone);
    assert_ne!(trace_of(&alone), trace_of(&sender));
}
