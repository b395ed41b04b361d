//! Requests that are answered some time.

use leat_contract::assets::AssetRole;
use leat_contract::headers::{ACCEPTED_MESSAGE_ID, DEAD_REASON, MESSAGE_ID, TRACEPARENT, TRACESTATE};
use leat_contract::subjects::QUEUE_GROUP;
use leat_contract::{ErrorCode, RequestId};
use leat_inference_worker::Settings;
use leat_messaging::{Delivery, Error, Headers, Position};
use leat_test_harness::eventually;
use serde_json::Value;

use crate::cluster::{ANSWER, Cluster, deployment, model, quick};
use crate::models::regression;

async fn hand_in(cluster: &Cluster, id: &str, payload: &str) -> bool {
    let queue = cluster.storage.async_queue(&model());
    let subject = cluster.subjects.async_infer(&model());
    queue.submit(subject, &format!("tiny/{id}"), payload.to_owned()).await.unwrap().duplicate
}

async fn result(cluster: &Cluster, id: &str) -> Result<Value, Error> {
    let subject = cluster.subjects.result(&id.parse::<RequestId>().unwrap());
    let log = cluster.storage.event_log(AssetRole::Results);
    eventually("there is a result", || async {
        match log.last_reply(&subject).await {
            Ok(Some(reply)) => Some(reply.json()),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_request_is_answered_when_somebody_serves_the_model_and_only_once() {
    let cluster = Cluster::start().await;
    let mut live = cluster.connection.subscribe(cluster.subjects.result_all()).await.unwrap();
    let payload = |id: usize| format!(r#"{{"id":"r-{id}","instances":[[{id},2]]}}"#);
    for id in 0..20 {
        assert!(!hand_in(&cluster, &format!("r-{id}"), &payload(id)).await);
        assert!(hand_in(&cluster, &format!("r-{id}"), &payload(id)).await, "a second copy is dropped");
    }
    let worker = cluster.worker("w1", quick()).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(&worker, revision).await;
    for id in 0..20 {
        let reply = result(&cluster, &format!("r-{id}")).await.unwrap();
        assert_eq!(reply["predictions"][0][0], id as f64 + 4.0, "{reply}");
        assert_eq!(reply["id"], format!("r-{id}"));
    }
    worker.stop().await;
    assert_eq!(std::iter::from_fn(|| live.try_next()).count(), 20);
    let depth = cluster.storage.async_queue(&model()).depth().await.unwrap();
    assert_eq!((depth.waiting, depth.in_work), (0, 0));
}

/// Hands in what was submitted under an id, or under none, in a message of its own, which the stream takes: as it does two minutes after the
/// first, and as workers do that hand a request over.
async fn hand_in_later(cluster: &Cluster, submitted_as: Option<&str>, number: u32, payload: &str) {
    let mut headers = Headers::new().with(MESSAGE_ID, format!("handed-over-{number}"));
    if let Some(id) = submitted_as {
        headers.insert(ACCEPTED_MESSAGE_ID, id);
    }
    let log = cluster.storage.event_log(AssetRole::AsyncQueue);
    let subject = cluster.subjects.async_infer(&model());
    assert!(!log.resend(&subject, headers, payload.to_owned()).await.unwrap().duplicate);
}

/// Waits until the last answer says so.
async fn answered(cluster: &Cluster, id: &str, expected: f64) {
    eventually("the request is answered", || async {
        let answer = result(cluster, id).await.ok()?;
        (answer["predictions"][0][0] == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_not_answered_again_when_it_is_handed_in_later() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let mut live = cluster.connection.subscribe(cluster.subjects.result_all()).await.unwrap();
    hand_in(&cluster, "r", r#"{"id":"r","instances":[[1,2]]}"#).await;
    assert_eq!(result(&cluster, "r").await.unwrap()["predictions"][0][0], 5.0);
    hand_in_later(&cluster, Some("tiny/r"), 1, r#"{"id":"r","instances":[[2,2]]}"#).await;
    // An error is no answer: what was wrong may be mended.
    hand_in(&cluster, "e", r#"{"id":"e","instances":[[1,2,3]]}"#).await;
    result(&cluster, "e").await.unwrap_err();
    hand_in_later(&cluster, Some("tiny/e"), 2, r#"{"id":"e","instances":[[3,2]]}"#).await;
    answered(&cluster, "e", 7.0).await;
    // Who does not ask for it gets another answer.
    for (number, submitted_as) in [(5, None), (6, Some("another id"))] {
        let payload = format!(r#"{{"id":"e","instances":[[{number},2]]}}"#);
        hand_in_later(&cluster, submitted_as, number, &payload).await;
        answered(&cluster, "e", f64::from(number) + 4.0).await;
    }
    let queue = cluster.storage.async_queue(&model());
    eventually("all are ended", || async {
        let depth = queue.depth().await.unwrap();
        (depth.waiting + depth.in_work == 0).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(result(&cluster, "r").await.unwrap()["predictions"][0][0], 5.0, "the first answer stays");
    let subject = cluster.subjects.result(&"r".parse().unwrap());
    assert_eq!(
        std::iter::from_fn(|| live.try_next()).filter(|answer| answer.subject() == subject).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_durable_request_goes_with_it() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let mut asked = cluster.connection.subscribe(cluster.live()).await.unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [(MESSAGE_ID, "tiny/r"), (TRACEPARENT, trace), (TRACESTATE, "vendor=1")];
    let headers =
        headers.into_iter().fold(Headers::new(), |headers, (name, value)| headers.with(name, value));
    let payload = r#"{"id":"r","instances":[[1,2]]}"#.to_owned();
    let log = cluster.storage.event_log(AssetRole::AsyncQueue);
    log.resend(&cluster.subjects.async_infer(&model()), headers, payload).await.unwrap();
    result(&cluster, "r").await.unwrap();
    let asked = asked.try_next().expect("the model was asked");
    assert_eq!((asked.header(TRACEPARENT), asked.header(TRACESTATE)), (Some(trace), Some("vendor=1")));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_gone_when_their_time_is_over() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let ask_stream = async |operation: &str, body: String| -> Value {
        cluster.ask(format!("$JS.API.STREAM.{operation}.LEAT_RESULT"), body).await.unwrap().json().unwrap()
    };
    let mut config = ask_stream("INFO", String::new()).await["config"].clone();
    assert_eq!(config["max_age"], 3_600_000_000_000_u64, "an hour in nanoseconds");
    hand_in(&cluster, "r", r#"{"id":"r","instances":[[1,2]]}"#).await;
    assert_eq!(result(&cluster, "r").await.unwrap()["predictions"][0][0], 5.0);
    // An hour is too long for a test.
    (config["max_age"], config["duplicate_window"]) = (1_000_000_000.into(), 1_000_000_000.into());
    let updated = ask_stream("UPDATE", config.to_string()).await;
    assert!(updated["error"].is_null(), "{updated}");
    let subject = cluster.subjects.result(&"r".parse::<RequestId>().unwrap());
    let log = cluster.storage.event_log(AssetRole::Results);
    eventually("the result is gone", || async {
        log.last_reply(&subject).await.unwrap().is_none().then_some(())
    })
    .await;
    // Nobody knows any more that it was answered.
    hand_in_later(&cluster, Some("tiny/r"), 1, r#"{"id":"r","instances":[[2,2]]}"#).await;
    answered(&cluster, "r", 6.0).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_gets_an_error_and_a_dead_letter_with_the_reason() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    hand_in(&cluster, "wide", r#"{"id":"wide","instances":[[1,2,3]]}"#).await;
    let Err(Error::Service(detail)) = result(&cluster, "wide").await else { panic!("an error was expected") };
    assert_eq!(detail.error_code(), ErrorCode::InvalidArgument, "{detail}");
    hand_in(&cluster, "nameless", r#"{"instances":[[1,2]]}"#).await;
    hand_in(&cluster, "broken", "{").await;
    hand_in_later(&cluster, None, 1, r#"{"id":"strange","instances":[[1,2]],"deadline_ms":0}"#).await;
    for id in ["nameless", "broken", "strange"] {
        let Err(Error::Service(detail)) = result(&cluster, id).await else { panic!("an error was expected") };
        assert_eq!(detail.error_code(), ErrorCode::InvalidArgument, "{detail}");
    }
    let log = cluster.storage.event_log(AssetRole::Dead);
    let reasons = eventually("four dead letters", || async {
        let mut follower = log.follow(&cluster.subjects.dead_letter_all(), Position::Beginning);
        let letters = follower.take_stored(10).await.unwrap();
        let reason = |letter: &leat_messaging::StoredMessage| letter.header(DEAD_REASON).unwrap().to_owned();
        (letters.len() == 4).then(|| letters.iter().map(reason).collect::<Vec<_>>())
    })
    .await;
    for expected in ["2 features", "needs an id", "JSON", "deadline_ms"] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "no {expected} in {reasons:?}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_request_that_is_too_late_is_not_answered() {
    let cluster = Cluster::start().await;
    hand_in(&cluster, "late", r#"{"id":"late","deadline_ms":1,"instances":[[1,2]]}"#).await;
    let worker = cluster.worker("w1", quick()).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(&worker, revision).await;
    let Err(Error::Service(detail)) = result(&cluster, "late").await else { panic!("an error was expected") };
    assert_eq!(detail.error_code(), ErrorCode::DeadlineExceeded, "{detail}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_leave_in_order_while_somebody_hangs_as_often_as_they_like() {
    let cluster = Cluster::start().await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    let ids: Vec<String> = (0..16).map(|id| format!("h-{id}")).collect();
    for id in &ids {
        hand_in(&cluster, id, &format!(r#"{{"id":"{id}","instances":[[1,2]]}}"#)).await;
    }
    // Takes most of the requests and answers none.
    let mut hanging = Vec::new();
    for _ in 0..9 {
        hanging.push(cluster.connection.queue_subscribe(cluster.live(), QUEUE_GROUP).await.unwrap());
    }
    cluster.connection.round_trip(ANSWER).await.unwrap();
    for number in 0..Delivery::ATTEMPTS_MAX + 2 {
        let settings = Settings { durable_requests_max: ids.len(), ..quick() };
        let worker = cluster.worker(&format!("w{number}"), settings).await;
        cluster.applied(&worker, revision).await;
        let mut is_asked = || hanging.iter_mut().any(|lost| lost.try_next().is_some());
        eventually("a request is lost", || std::future::ready(is_asked().then_some(()))).await;
        worker.stop().await;
    }
    drop(hanging);
    let last = cluster.worker("last", quick()).await;
    for id in &ids {
        assert_eq!(result(&cluster, id).await.unwrap()["predictions"][0][0], 5.0, "{id}");
    }
    last.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_requests_in_hand_survive_a_restart_of_the_broker() {
    let mut cluster = Cluster::start().await;
    let ids: Vec<String> = (0..8).map(|id| format!("k-{id}")).collect();
    let worker = cluster.worker("w1", Settings { durable_requests_max: ids.len(), ..quick() }).await;
    let revision = cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    cluster.applied(&worker, revision).await;
    // Takes most of the requests and answers none, so that the worker waits for these when the broker goes.
    let mut hanging = Vec::new();
    for _ in 0..9 {
        hanging.push(cluster.connection.queue_subscribe(cluster.live(), QUEUE_GROUP).await.unwrap());
    }
    cluster.connection.round_trip(ANSWER).await.unwrap();
    for id in &ids {
        hand_in(&cluster, id, &format!(r#"{{"id":"{id}","instances":[[1,2]]}}"#)).await;
    }
    let mut is_asked = || hanging.iter_mut().any(|lost| lost.try_next().is_some());
    eventually("a request is lost", || std::future::ready(is_asked().then_some(()))).await;
    cluster.broker.kill().await;
    drop(hanging);
    cluster.broker.restart().await.unwrap();
    eventually("the broker is back", || async { cluster.connection.round_trip(ANSWER).await.ok() }).await;
    for id in &ids {
        assert_eq!(result(&cluster, id).await.unwrap()["predictions"][0][0], 5.0, "{id}");
    }
    eventually("nothing is left", || async {
        let depth = cluster.storage.async_queue(&model()).depth().await.ok()?;
        (depth.waiting == 0 && depth.in_work == 0).then_some(())
    })
    .await;
    worker.stop().await;
    let letters = cluster.storage.event_log(AssetRole::Dead);
    let mut letters = letters.follow(&cluster.subjects.dead_letter_all(), Position::Beginning);
    assert!(letters.take_stored(1).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_answers_ends_as_a_dead_letter() {
    let cluster = Cluster::start().await;
    // Take nearly all requests and answer none: of ten attempts at a request, nine times in ten not one comes to the worker.
    let mut hanging = Vec::new();
    for _ in 0..99 {
        hanging.push(cluster.connection.queue_subscribe(cluster.live(), QUEUE_GROUP).await.unwrap());
    }
    cluster.connection.round_trip(ANSWER).await.unwrap();
    for id in 0..16 {
        hand_in(&cluster, &format!("p-{id}"), &format!(r#"{{"id":"p-{id}","instances":[[1,2]]}}"#)).await;
    }
    let settings = Settings { durable_attempt_ms: 100, durable_requests_max: 16, ..quick() };
    let worker = cluster.worker("w1", settings).await;
    cluster.deploy(&deployment(vec![cluster.store(1, 100, &regression(1.0)).await])).await;
    let mut letters = cluster
        .storage
        .event_log(AssetRole::Dead)
        .follow(&cluster.subjects.dead_letter_all(), Position::Beginning);
    let letter = tokio::time::timeout(ANSWER, letters.next()).await.unwrap();
    let reason = letter.header(DEAD_REASON).unwrap();
    assert!(reason.contains("10 workers got it and did not answer within 100ms"), "{reason}");
    drop(hanging);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_requests_are_taken_again_after_their_consumer_was_deleted() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    hand_in(&cluster, "before", r#"{"id":"before","instances":[[1,2]]}"#).await;
    result(&cluster, "before").await.unwrap();
    let api = |operation: &str| format!("$JS.API.CONSUMER.{operation}");
    let names: Value = cluster.ask(api("NAMES.LEAT_ASYNC"), "").await.unwrap().json().unwrap();
    let consumer = names["consumers"][0].as_str().unwrap();
    let deleted: Value =
        cluster.ask(api(&format!("DELETE.LEAT_ASYNC.{consumer}")), "").await.unwrap().json().unwrap();
    assert_eq!(deleted["success"], true, "{deleted}");
    hand_in(&cluster, "after", r#"{"id":"after","instances":[[1,2]]}"#).await;
    assert_eq!(result(&cluster, "after").await.unwrap()["predictions"][0][0], 5.0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_keeps_yet_is_no_failed_attempt() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let deleted: Value =
        cluster.ask("$JS.API.STREAM.DELETE.LEAT_RESULT".to_owned(), "").await.unwrap().json().unwrap();
    assert_eq!(deleted["success"], true, "{deleted}");
    hand_in(&cluster, "early", r#"{"id":"early","instances":[[1,2]]}"#).await;
    // More than it would take to become a dead letter.
    let often = Delivery::ATTEMPTS_MAX + 2;
    eventually("the model is asked often", || async {
        let figures = cluster.ask("$SRV.STATS.leat-inference-worker".to_owned(), "").await.unwrap();
        let figures: Value = figures.json().unwrap();
        (figures["endpoints"][0]["num_requests"].as_u64()? >= often).then_some(())
    })
    .await;
    leat_messaging::Storage::provision(&cluster.connection, &cluster.subjects).await.unwrap();
    assert_eq!(result(&cluster, "early").await.unwrap()["predictions"][0][0], 5.0);
    worker.stop().await;
    let depth = cluster.storage.async_queue(&model()).depth().await.unwrap();
    assert_eq!((depth.waiting, depth.in_work), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_known_are_given_again() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let mut deployment = deployment(vec![cluster.store(1, 100, &regression(1.0)).await]);
    deployment.cache = Some(leat_contract::Caching { bytes_max: 1 << 20 });
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    for request in 0..30 {
        let row = request % 3;
        let reply = cluster.predict(&format!(r#"{{"instances":[[{row},2],[0,0]]}}"#)).await.unwrap();
        assert_eq!(reply["predictions"], serde_json::json!([[f64::from(row) + 4.0], [0.0]]));
    }
    let stats = cluster.figures_of(30).await;
    let cache = &stats["endpoints"][0]["data"]["cache"];
    assert_eq!((&cache["hits"], &cache["misses"]), (&27.into(), &3.into()), "{stats}");
    let totals = &stats["endpoints"][0]["data"]["versions"][0]["totals"];
    assert_eq!(
        (&totals["success"]["count"], &totals["compute"]["count"]),
        (&30.into(), &3.into()),
        "{stats}"
    );
    deployment.routes = vec![cluster.store(2, 100, &regression(2.0)).await];
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    let reply = cluster.predict(r#"{"instances":[[0,2],[0,0]]}"#).await.unwrap();
    assert_eq!(reply["predictions"][0][0], 8.0, "another version has other answers");
    worker.stop().await;
}
