//! What goes through the gateway to a worker and back, seen from the worker's side.

use leat_contract::{Encoding, InferRequest, ModelName};
use leat_messaging::Message;
use serde_json::json;

use super::http::{get, post, send};
use super::town;
use crate::town::Town;

/// A trace that a client began, and its span.
pub(super) const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Takes one request for a model that only this test serves and answers it with `reply`.
pub(super) async fn serve_once(
    town: &Town,
    model: &ModelName,
    reply: &'static str,
) -> tokio::task::JoinHandle<Message> {
    let subject = town.cluster.subjects().infer(model);
    let mut requests = town.connection.queue_subscribe(subject, "q").await.expect("subscribed");
    town.connection.round_trip(std::time::Duration::from_secs(5)).await.expect("the broker knows");
    let connection = town.connection.clone();
    tokio::spawn(async move {
        let request = requests.next().await.expect("a request");
        let inbox = request.reply().expect("somebody waits").clone();
        connection.publish(inbox, reply).await.expect("answered");
        request
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_id_trace_and_deadline_of_a_request_reach_the_worker() {
    let (town, ports) = town().await;
    let model: ModelName = "probe".parse().expect("a name");
    let reply = r#"{"model_name":"probe","model_version":"1","outputs":[]}"#;
    let body = json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0.5] }] })
        .to_string();

    let serving = serve_once(&town, &model, reply).await;
    let headers = [("traceparent", TRACE), ("x-request-id", "order-17")];
    let answer = send(ports.http, "POST /v2/models/probe/infer", &headers, body.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, reply.as_bytes()));
    assert_eq!(answer.headers["x-request-id"], "order-17");
    let request = serving.await.expect("served");
    let traced = request.header("traceparent").expect("a trace");
    assert!(traced.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{traced}");
    let (read, encoding) = InferRequest::decode(request.payload()).expect("a request");
    assert_eq!(encoding, Encoding::Json);
    assert_eq!((read.id.map(String::from).as_deref(), read.deadline_ms), (Some("order-17"), Some(10_000)));

    // A body that says everything itself is passed on byte for byte.
    let whole = r#"{ "id":"a", "deadline_ms":250, "inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[5e-1]}] }"#;
    let serving = serve_once(&town, &model, reply).await;
    send(ports.http, "POST /v2/models/probe/infer", &[], whole.as_bytes()).await;
    assert_eq!(serving.await.expect("served").payload(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_in_the_terms_of_http() {
    let (town, ports) = town().await;
    let zeros = vec![0.0; 64];
    let row = json!({ "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": zeros }] });
    let ready = get(ports.http, "/v2/health/ready").await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "live": true, "ready": true })));
    assert_eq!(post(ports.http, "/v2/models/digits/infer", &row).await.status, 200);
    assert_eq!(post(ports.http, "/v2/models/digits/versions/production/infer", &row).await.status, 200);
    assert_eq!(post(ports.http, "/v2/models/nobody/infer", &row).await.status, 404);
    assert_eq!(post(ports.http, "/v2/models/digits/versions/9/infer", &row).await.status, 404);
    let wrong = post(ports.http, "/v2/models/digits/infer", &json!({})).await;
    assert!(wrong.status == 400 && wrong.json()["error"].is_string());
    for wrong in [json!({ "instances": [zeros] }), row.clone()] {
        let mut wrong = wrong;
        wrong["deadline_ms"] = json!(0);
        let late = post(ports.http, "/v2/models/digits/infer", &wrong).await;
        assert!(late.status == 400 && late.json()["error"].to_string().contains("deadline_ms"), "{late:?}");
    }
    let not_allowed = get(ports.http, "/v2/models/digits/infer").await;
    assert_eq!((not_allowed.status, not_allowed.headers["allow"].as_str()), (405, "POST"));

    // Deployed and yet served by nobody: that is another thing than unknown.
    town.json(&["deploy", "digits@1", "--queue-max", "1"]).await;
    let mut town = town;
    town.cluster.stop_service("worker-1").await.expect("the worker stops");
    let unavailable = post(ports.http, "/v2/models/digits/infer", &row).await;
    assert_eq!((unavailable.status, unavailable.headers["retry-after"].as_str()), (503, "1"));
    assert_eq!(get(ports.http, "/v2/models/digits/ready").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_the_description_of_every_path_are_there() {
    let (_town, ports) = town().await;
    let metrics = get(ports.http, "/metrics").await;
    let text = String::from_utf8(metrics.body).expect("text");
    for name in
        ["leat_gateway_connections", "leat_gateway_inflight", "leat_ready 1", "process_resident_memory_bytes"]
    {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
    assert_eq!(get(ports.http, "/openapi.json").await.json()["openapi"], "3.0.3");
    assert_eq!(get(ports.http, "/healthz").await.body, b"alive\n");
}
