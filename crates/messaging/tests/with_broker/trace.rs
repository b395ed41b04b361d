use std::time::Duration;

use leat_messaging::{Headers, Patience, trace};
use opentelemetry::trace::{TraceContextExt, TraceId, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{connection, soon, unique_subjects};

/// Traces what the calling thread does until the guard goes.
fn traced() -> tracing::subscriber::DefaultGuard {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
}

fn trace_of(span: &tracing::Span) -> TraceId {
    span.context().span().span_context().trace_id()
}

#[tokio::test]
async fn a_request_carries_the_trace_of_who_asks() {
    let _active = traced();
    let connection = connection().await;
    let subject = format!("{}.asked", unique_subjects().prefix());
    let mut requests = connection.subscribe(subject.clone()).await.unwrap();
    let asking = tracing::info_span!("asking");
    let (plain, patience) = (Headers::new(), Patience::default());
    let service = async {
        let mut questions = Vec::new();
        for _ in 0..3 {
            let question = requests.next().await.unwrap();
            connection.publish(question.reply().unwrap().clone(), "").await.unwrap();
            questions.push(question);
        }
        questions
    };
    let client = async {
        let timeout = Duration::from_secs(20);
        connection.request(subject.as_str(), "", timeout).instrument(asking.clone()).await.unwrap();
        let again = connection.request_idempotent(subject.as_str(), &plain, "", &patience);
        again.instrument(asking.clone()).await.unwrap();
        connection.request(subject.as_str(), "", timeout).await.unwrap();
    };
    let (questions, ()) = soon("three requests", async { tokio::join!(service, client) }).await;
    for question in &questions[..2] {
        let answering = tracing::info_span!("answering");
        trace::extract(question, &answering);
        assert_eq!(trace_of(&answering), trace_of(&asking));
    }
    assert!(!questions[2].has_headers(), "nothing is traced outside of a span");
}

#[tokio::test]
async fn a_trace_goes_through_the_broker() {
    let _active = traced();
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
    assert_eq!(trace_of(&receiver), trace_of(&sender));

    let plain = soon("a message", messages.next()).await.unwrap();
    let alone = tracing::info_span!("alone");
    trace::extract(&plain, &alone);
    assert_ne!(trace_of(&alone), trace_of(&sender));
}
