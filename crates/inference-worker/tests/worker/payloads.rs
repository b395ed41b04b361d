//! Requests and replies whose bodies are objects.

use std::time::Duration;

use bytes::Bytes;
use leat_contract::assets::{Asset, AssetRole};
use leat_contract::headers::{BODY_OBJECT, REPLY_OBJECT_BYTES_MAX};
use leat_contract::{
    Encoding, ErrorDetail, InferReference, InferRequest, InferResponse, Tensor, TensorData, encode,
};
use leat_inference_worker::Settings;
use leat_messaging::{Connection, Error, Headers, Objects, Reply};
use leat_test_harness::eventually;

use crate::cluster::{ANSWER, Cluster, deployment, quick};
use crate::models::{regression, slow};

const MIB: usize = 1024 * 1024;

fn payloads(cluster: &Cluster) -> Objects {
    cluster.storage.objects(AssetRole::Payloads)
}

fn rows(count: usize, width: usize) -> InferRequest {
    let values = (0..count * width).map(|value| (value % 7) as f32).collect();
    InferRequest::tensors(vec![Tensor::new("input", vec![count, width], TensorData::Fp32(values)).unwrap()])
}

/// Asks with a message that is nothing but a reference to an object.
async fn ask_by_object(
    cluster: &Cluster,
    name: &str,
    reference: &InferReference,
    headers: Headers,
) -> Result<Reply, Error> {
    let message = encode(Encoding::MessagePack, reference).unwrap();
    let headers = headers.with(BODY_OBJECT, name);
    cluster.connection.request_with(cluster.live(), headers, message, ANSWER).await
}

fn refusal(outcome: Result<Reply, Error>) -> ErrorDetail {
    match outcome {
        Err(Error::Service(detail)) => detail,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

/// Removes the stream behind the store: nobody answers then who looks for an object.
async fn lose_the_store(connection: &Connection, cluster: &Cluster) {
    let stream = Asset::new(&cluster.subjects, AssetRole::Payloads).stream_name();
    let deleted = connection.request(format!("$JS.API.STREAM.DELETE.{stream}"), "", ANSWER).await;
    deleted.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_reply_that_no_message_can_hold_are_objects() {
    let (cluster, worker) = Cluster::serving(&slow(300, 1)).await;
    let (objects, request) = (payloads(&cluster), rows(2000, 300));
    let body = request.encode(Encoding::MessagePack).unwrap();
    assert!(body.len() > 2 * MIB, "{} bytes", body.len());
    let name = objects.put_unique(body.into()).await.unwrap();
    let accepted = Headers::new().with(REPLY_OBJECT_BYTES_MAX, (8 * MIB).to_string());
    let reply = ask_by_object(&cluster, &name, &InferReference::of(&request), accepted).await.unwrap();
    assert!(reply.payload().is_empty());
    let named = reply.header(BODY_OBJECT).expect("the reply is an object");
    let (answer, encoding) = InferResponse::decode(&objects.get(named).await.unwrap()).unwrap();
    assert_eq!((encoding, &answer.outputs[0].shape), (Encoding::MessagePack, &vec![2000, 300]));
    // A few of the same rows in an ordinary message have the same answers.
    let few = rows(7, 300).encode(Encoding::MessagePack).unwrap();
    let few = cluster.ask(cluster.live(), few).await.unwrap();
    let few = InferResponse::decode(few.payload()).unwrap().0.outputs.remove(0).data.into_fp32().unwrap();
    let many = answer.outputs.into_iter().next().unwrap().data.into_fp32().unwrap();
    assert!(many[..few.len()] == few && many.len() == 2000 * 300);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_reply_to_an_ordinary_message_is_an_object_only_when_its_caller_takes_it() {
    let (cluster, worker) = Cluster::serving(&slow(128, 1)).await;
    // The text of a small whole number is shorter than that of a mean.
    let body = rows(1500, 128).encode(Encoding::Json).unwrap();
    assert!(body.len() < MIB, "{} bytes", body.len());
    let detail = refusal(cluster.ask(cluster.live(), body.clone()).await);
    assert!(detail.code == 413 && detail.message.contains("the limit of the broker"), "{detail}");
    let ask = async |bytes_max: usize| {
        let headers = Headers::new().with(REPLY_OBJECT_BYTES_MAX, bytes_max.to_string());
        cluster.connection.request_with(cluster.live(), headers, body.clone(), ANSWER).await
    };
    let detail = refusal(ask(MIB).await);
    assert!(detail.code == 413 && detail.message.contains(&MIB.to_string()), "{detail}");
    let reply = ask(2 * MIB).await.unwrap();
    let name = reply.header(BODY_OBJECT).expect("the reply is an object").to_owned();
    assert!(InferResponse::decode(&payloads(&cluster).get(&name).await.unwrap()).is_ok());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_a_late_and_a_too_large_object_are_refused_each_in_its_own_way() {
    let cluster = Cluster::start().await;
    let settings = Settings { objects_bytes_max: MIB, ..quick() };
    let worker = cluster.worker("w1", settings).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(&worker, revision).await;
    let objects = payloads(&cluster);
    let ask = async |name: &str, deadline_ms: Option<u64>| {
        let reference = InferReference { deadline_ms, ..InferReference::default() };
        ask_by_object(&cluster, name, &reference, Headers::new()).await
    };
    let detail = refusal(ask("nothing", None).await);
    assert_eq!((detail.code, detail.retryable), (404, false), "{detail}");
    assert!(detail.message.contains("\"nothing\""), "{detail}");
    // Looking for it again takes longer than this caller waits.
    let detail = refusal(ask("nothing", Some(1)).await);
    assert_eq!(detail.code, 504, "{detail}");
    let large = objects.put_unique(Bytes::from(vec![b' '; MIB + 1])).await.unwrap();
    let detail = refusal(ask(&large, None).await);
    assert_eq!(detail.code, 413, "{detail}");
    assert!(detail.message.contains("1048577") && detail.message.contains("1048576"), "{detail}");
    let broken = objects.put_unique(Bytes::from_static(b"{\"instances\":")).await.unwrap();
    assert_eq!(refusal(ask(&broken, None).await).code, 400);
    let good = objects.put_unique(Bytes::from_static(br#"{"instances":[[1,2]]}"#)).await.unwrap();
    let answer: serde_json::Value = ask(&good, Some(20_000)).await.unwrap().json().unwrap();
    assert_eq!(answer["predictions"], serde_json::json!([[5.0]]));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_given_up_at_the_deadline_and_after_the_timeout() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { object_timeout_ms: 300, ..quick() }).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(&worker, revision).await;
    lose_the_store(&cluster.connection, &cluster).await;
    let ask = async |deadline_ms: Option<u64>| {
        let reference = InferReference { deadline_ms, ..InferReference::default() };
        refusal(ask_by_object(&cluster, "nothing", &reference, Headers::new()).await)
    };
    let (late, slow) = (ask(Some(50)).await, ask(None).await);
    assert_eq!((late.code, slow.code, slow.retryable), (504, 503, true), "{late} {slow}");
    assert!(slow.message.contains("300ms"), "{slow}");
    // Others are answered as always.
    assert!(cluster.predict(r#"{"instances":[[1,2]]}"#).await.is_ok());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_not_stored_in_time_is_an_error() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", Settings { object_timeout_ms: 3000, ..quick() }).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &slow(128, 1)).await])).await;
    cluster.applied(&worker, revision).await;
    lose_the_store(&cluster.connection, &cluster).await;
    let ask = async |deadline_ms: Option<u64>| {
        let body = InferRequest { deadline_ms, ..rows(1500, 128) }.encode(Encoding::Json).unwrap();
        let headers = Headers::new().with(REPLY_OBJECT_BYTES_MAX, (2 * MIB).to_string());
        refusal(cluster.connection.request_with(cluster.live(), headers, body, ANSWER).await)
    };
    let (late, slow) = (ask(Some(1500)).await, ask(None).await);
    assert_eq!((late.code, slow.code, slow.retryable), (504, 503, true), "{late} {slow}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_answers_what_it_is_still_fetching() {
    let (cluster, worker) = Cluster::serving(&slow(300, 1)).await;
    let (objects, request) = (payloads(&cluster), rows(2000, 300));
    let name = objects.put_unique(request.encode(Encoding::MessagePack).unwrap().into()).await.unwrap();
    let subject = cluster.live();
    let accepted =
        Headers::new().with(REPLY_OBJECT_BYTES_MAX, (8 * MIB).to_string()).with(BODY_OBJECT, &name);
    let message = encode(Encoding::MessagePack, &InferReference::of(&request)).unwrap();
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let (connection, subject) = (cluster.connection.clone(), subject.clone());
            let (headers, message) = (accepted.clone(), message.clone());
            tokio::spawn(async move { connection.request_with(subject, headers, message, ANSWER).await })
        })
        .collect();
    cluster.connection.round_trip(Duration::from_secs(5)).await.unwrap();
    worker.stop().await;
    for asked in asked {
        match asked.await.unwrap() {
            Ok(reply) => assert!(reply.header(BODY_OBJECT).is_some()),
            // It came after the subscription had ended.
            Err(Error::NoResponders { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let names = objects.list().await.unwrap();
    for object in names {
        objects.delete(&object.name).await.unwrap();
    }
    eventually("the store is empty", async || objects.list().await.unwrap().is_empty().then_some(())).await;
}
