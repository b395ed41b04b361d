//! The gateway in the traces of its clients, and in those that begin there.

use std::process::Stdio;

use leat_contract::ModelName;
use leat_test_harness::{Collector, eventually};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use tokio::process::{Child, Command};

use super::guarded::Guarded;
use super::http::send;
use super::passage::{TRACE, serve_once};
use super::town;
use crate::town::{Town, leat};

/// The ids of a trace and of the span in it that a `traceparent` names.
fn ids(traceparent: &str) -> [&str; 2] {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let ["00", trace, span, "01"] = parts[..] else { panic!("{traceparent} is not of a recorded span") };
    [trace, span]
}

/// Asks once, and gives what the worker was told of a trace.
async fn asked(town: &Town, gateway: &Guarded, headers: &[(&str, &str)]) -> Option<String> {
    let model: ModelName = "traced".parse().expect("a name");
    let reply = r#"{"model_name":"traced","model_version":"1","outputs":[]}"#;
    let body = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[0.5]}]}"#;
    let serving = serve_once(town, &model, reply).await;
    let answer = send(gateway.http, "POST /v2/models/traced/infer", headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    serving.await.expect("served").header("traceparent").map(ToOwned::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_a_span_of_its_own_in_the_trace_of_its_client() {
    let (town, _) = town().await;
    let gateway = Guarded::start(&town, "tracing", &[]).await;
    gateway.ready().await;
    let traced = asked(&town, &gateway, &[("traceparent", TRACE)]).await.expect("a trace");
    let ([trace, span], [trace_of_client, span_of_client]) = (ids(&traced), ids(TRACE));
    assert_eq!((trace, span.len()), (trace_of_client, span_of_client.len()));
    assert_ne!(span, span_of_client);
    assert_eq!(asked(&town, &gateway, &[]).await, None, "nobody collects spans, so no trace begins here");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_requests_reach_the_collector_and_begin_a_trace_unless_there_is_one() {
    let (town, _) = town().await;
    let collector = Collector::start();
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str())];
    let gateway = Guarded::start(&town, "collecting", &settings).await;
    gateway.ready().await;
    let begun = asked(&town, &gateway, &[]).await.expect("a trace begins");
    let continued = asked(&town, &gateway, &[("traceparent", TRACE)]).await.expect("a trace");

    let mut spans = Vec::new();
    eventually("both spans are collected", || {
        spans.extend(collector.received.try_iter().flat_map(|received| requests(received.spans)));
        std::future::ready((spans.len() >= 2).then_some(()))
    })
    .await;
    // Neither the probes of its health nor anything else that went before.
    let [root, child] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!([traceparent(root), traceparent(child)], [begun, continued]);
    let [_, span_of_client] = ids(TRACE);
    assert_eq!(
        (hex(&root.parent_span_id).as_str(), hex(&child.parent_span_id).as_str()),
        ("", span_of_client)
    );
    for span in [root, child] {
        assert_eq!(span.kind(), SpanKind::Server);
        assert_eq!(attribute(span, "url.path"), Some(Value::StringValue("/v2/models/traced/infer".into())));
        assert_eq!(attribute(span, "http.response.status_code"), Some(Value::IntValue(200)));
    }
}

/// A worker of its own beside the cluster's, whose spans are collected.
fn collecting_worker(town: &Town, endpoint: &str) -> Child {
    Command::new(leat())
        .args(["service", "inference-worker", "--name", "collecting-worker"])
        .env("LEAT_NATS__URL", town.cluster.url())
        .env_remove("NATS_URL")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("leat runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_a_worker_stands_below_that_of_the_gateway_and_both_name_the_request() {
    let (town, _) = town().await;
    let collector = Collector::start();
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str())];
    let gateway = Guarded::start(&town, "collecting", &settings).await;
    gateway.ready().await;
    let _worker = collecting_worker(&town, &collector.endpoint);
    let body = json!({ "id": "order-17", "instances": [vec![0; 64]] }).to_string();
    let headers = [("x-request-id", "order-17")];
    let mut spans = Vec::new();
    // The cluster's own worker, whose spans nobody collects, answers some of them, and all until this one has loaded the model.
    let (request, infer) = eventually("both spans are collected", || {
        spans.extend(collector.received.try_iter().flat_map(|received| every(received.spans)));
        let infer = spans.iter().find(|span: &&Span| span.name == "infer");
        let request = infer.and_then(|infer| spans.iter().find(|span| span.span_id == infer.parent_span_id));
        let pair = request.cloned().zip(infer.cloned());
        let (http, headers, body) = (gateway.http, &headers, &body);
        async move {
            if pair.is_none() {
                let asked = send(http, "POST /v2/models/digits/infer", headers, body.as_bytes()).await;
                assert_eq!(asked.status, 200, "{asked:?}");
            }
            pair
        }
    })
    .await;
    assert_eq!((request.name.as_str(), &request.trace_id), ("request", &infer.trace_id));
    for span in [&request, &infer] {
        assert_eq!(span.kind(), SpanKind::Server);
        assert_eq!(attribute(span, "request.id"), Some(Value::StringValue("order-17".into())));
    }
    assert_eq!(attribute(&infer, "model"), Some(Value::StringValue("digits".into())));
    assert_eq!(attribute(&infer, "version"), Some(Value::IntValue(1)));
}

/// The spans that a collector got.
fn every(exported: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    let scopes = exported.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans)
}

/// Those of requests.
fn requests(exported: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    every(exported).filter(|span| span.name == "request")
}

/// What a worker is told that answers within the span.
fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value
}
