//! Every way in which a request is refused.

use leat_contract::{Encoding, ErrorBody, ErrorDetail, InferRequest, Tensor, TensorData, decode};
use leat_inference_worker::Settings;
use leat_messaging::Error;

use crate::cluster::{ANSWER, Cluster, deployment, quick};
use crate::models::{regression, slow};

async fn refusal(cluster: &Cluster, payload: impl Into<Vec<u8>>) -> ErrorDetail {
    match cluster.ask(cluster.live(), payload).await {
        Err(Error::Service(detail)) => detail,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_to_the_model_is_refused_as_invalid() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    for (payload, named) in [
        ("", "empty"),
        ("hello", "0x68"),
        ("{\"instances\":", "JSON"),
        ("{}", "neither"),
        (r#"{"instances":[]}"#, "no rows"),
        (r#"{"instances":[[1,2,3]]}"#, "2 features"),
        (r#"{"instances":[[1,"x"]]}"#, "x"),
        (r#"{"instances":[[1,null]]}"#, "\"b\" of row 0"),
        (r#"{"instances":[{"a":1}]}"#, "\"b\""),
        (r#"{"instances":[{"a":1,"b":2,"c":3}]}"#, "\"c\""),
        (r#"{"inputs":[{"name":"pixels","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#, "pixels"),
        (r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[1,2],"data":[1]}]}"#, "shape"),
        (r#"{"inputs":[{"name":"input","datatype":"BYTES","shape":[1,2],"data":["1","2"]}]}"#, "BYTES"),
        (
            r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[1,2],"data":[1,2]}],"outputs":[{"name":"x"}]}"#,
            "\"x\"",
        ),
        (r#"{"instances":[[1,2]],"deadline_ms":0}"#, "deadline_ms"),
        (r#"{"instances":[[1,2]],"typo":0}"#, "typo"),
        (r#"{"instances":[[3e38,3e38]]}"#, "too large for the model"),
    ] {
        let detail = refusal(&cluster, payload).await;
        assert_eq!((detail.code, detail.retryable), (400, false), "{payload}: {detail}");
        assert!(detail.message.contains(named), "{payload}: {detail}");
    }
    let infinite = Tensor::new("input", vec![1, 2], TensorData::Fp32(vec![1.0, f32::NEG_INFINITY])).unwrap();
    let infinite = InferRequest::tensors(vec![infinite]).encode(Encoding::MessagePack).unwrap();
    let detail = refusal(&cluster, infinite).await;
    assert_eq!(detail.code, 400);
    assert!(detail.message.contains("infinite"), "{detail}");
    assert!(cluster.predict(r#"{"instances":[[1,2]]}"#).await.is_ok());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_headers_of_adr_32_and_a_body_in_the_callers_encoding() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let mut inbox = cluster.connection.subscribe("test.inbox").await.unwrap();
    // The request goes over another connection: the broker must know the inbox before.
    cluster.connection.round_trip(ANSWER).await.unwrap();
    let rows = Tensor::new("input", vec![1, 3], TensorData::Fp32(vec![0.0; 3])).unwrap();
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let payload = InferRequest::tensors(vec![rows.clone()]).encode(encoding).unwrap();
        publish_with_reply(&cluster, &payload).await;
        let message = tokio::time::timeout(ANSWER, inbox.next()).await.unwrap().unwrap();
        assert_eq!(message.header("Nats-Service-Error-Code"), Some("400"));
        assert!(message.header("Nats-Service-Error").unwrap().contains("features"));
        let (body, found) = decode::<ErrorBody>(message.payload()).unwrap();
        assert_eq!((found, body.error.name.as_str()), (encoding, "invalid_argument"));
    }
    worker.stop().await;
}

/// Publishes with a reply subject of the test's own, by hand: the client speaks the protocol of the broker.
async fn publish_with_reply(cluster: &Cluster, payload: &[u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", cluster.broker.port())).await.unwrap();
    let head =
        format!("CONNECT {{\"verbose\":false}}\r\nPUB {} test.inbox {}\r\n", cluster.live(), payload.len());
    let message = [head.as_bytes(), payload, b"\r\nPING\r\n"].concat();
    socket.write_all(&message).await.unwrap();
    let mut answered = Vec::new();
    while !answered.windows(4).any(|window| window == b"PONG") {
        socket.read_buf(&mut answered).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_rows_and_too_large_replies_say_the_limit() {
    let (cluster, worker) = Cluster::serving(&slow(100, 1)).await;
    let rows = |rows: usize| {
        let tensor = Tensor::new("input", vec![rows, 100], TensorData::Bool(vec![true; rows * 100])).unwrap();
        InferRequest::tensors(vec![tensor]).encode(Encoding::MessagePack).unwrap()
    };
    let detail = refusal(&cluster, rows(4097)).await;
    assert_eq!((detail.code, detail.retryable), (413, false));
    assert!(detail.message.contains("limit is 4096 rows"), "{detail}");
    let detail = refusal(&cluster, rows(4000)).await;
    assert_eq!(detail.code, 413);
    assert!(detail.message.contains("limit of the broker is 1048576"), "{detail}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_says_when_to_retry() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { queue_max: 4, batch_requests_max: 1, ..quick() }).await;
    let route = cluster.store(1, 100, &slow(500, 4)).await;
    let revision = cluster.deploy(&deployment(vec![route])).await;
    cluster.applied(&worker, revision).await;
    let tensor = Tensor::new("input", vec![100, 500], TensorData::Bool(vec![true; 50_000])).unwrap();
    let payload = InferRequest::tensors(vec![tensor]).encode(Encoding::MessagePack).unwrap();
    let asking = (0..64).map(|_| cluster.ask(cluster.live(), payload.clone()));
    let outcomes = futures_util::future::join_all(asking).await;
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Err(Error::Service(detail)) => Some(detail),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        })
        .collect();
    assert!(answered >= 4 && !refused.is_empty(), "{answered} answered");
    for detail in refused {
        assert_eq!((detail.code, detail.retryable), (429, true), "{detail}");
        assert!(detail.retry_after_ms.is_some_and(|wait| (1..=1000).contains(&wait)));
    }
    let stats = cluster.figures_of(64).await;
    assert_eq!(stats["endpoints"][0]["num_errors"], 64 - answered, "{stats}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_deadline_there_is_an_error_and_no_prediction() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { batch_requests_max: 1, ..quick() }).await;
    let route = cluster.store(1, 100, &slow(500, 4)).await;
    let revision = cluster.deploy(&deployment(vec![route])).await;
    cluster.applied(&worker, revision).await;
    let request = |deadline_ms: Option<u64>| {
        let tensor = Tensor::new("input", vec![100, 500], TensorData::Bool(vec![true; 50_000])).unwrap();
        let request = InferRequest { deadline_ms, ..InferRequest::tensors(vec![tensor]) };
        request.encode(Encoding::MessagePack).unwrap()
    };
    let detail = refusal(&cluster, request(Some(1))).await;
    assert_eq!((detail.code, detail.retryable), (504, false), "{detail}");
    assert!(detail.message.contains("1 ms"), "{detail}");
    assert!(cluster.ask(cluster.live(), request(Some(60_000))).await.is_ok());
    assert!(cluster.ask(cluster.live(), request(None)).await.is_ok());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_or_version_that_nobody_serves_has_no_responders() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    for subject in [cluster.pinned(7), cluster.subjects.infer(&"other".parse().unwrap())] {
        let outcome = cluster.ask(subject, r#"{"instances":[[1,2]]}"#).await;
        assert!(matches!(&outcome, Err(error) if error.code().status() == 503), "{outcome:?}");
    }
    cluster.undeploy(&crate::cluster::model()).await;
    cluster.lease_when(&worker, |lease| lease.loaded.is_empty()).await;
    let outcome = cluster.ask(cluster.live(), r#"{"instances":[[1,2]]}"#).await;
    assert!(matches!(outcome, Err(Error::NoResponders { .. })), "{outcome:?}");
    worker.stop().await;
}
