//! Orders over the broker to one instance.

use std::time::Duration;

use leat_contract::{ControlVerb, DrainReply, ErrorCode, PingReply};
use leat_messaging::{Connection, Error as MessagingError, Reply};
use leat_service_runtime::{Error, serve};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{self, PATIENCE, client, eventually, settings, subjects};
use crate::echo::{Echo, Misbehaviour};

async fn run(url: &str, misbehaviour: Misbehaviour) -> JoinHandle<Result<(), Error>> {
    let settings = settings(url, "echo-1");
    let (echo, started) = Echo::new(misbehaviour);
    let ending = tokio::spawn(async move { serve(&settings, echo, CancellationToken::new()).await });
    tokio::time::timeout(PATIENCE, started).await.unwrap().expect("the service started");
    ending
}

async fn order(
    client: &Connection,
    verb: ControlVerb,
    payload: &'static str,
) -> Result<Reply, MessagingError> {
    client.request(subjects().control(&"echo-1".parse().unwrap(), verb), payload, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_with_readiness() {
    let broker = broker::start().await;
    let ending = run(&broker.url(), Misbehaviour::None).await;
    let client = client(&broker.url()).await;
    let reply: PingReply = order(&client, ControlVerb::Ping, "").await.unwrap().json().unwrap();
    assert_eq!((reply.worker.as_str(), reply.ready), ("echo-1", true));
    ending.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_order_stops_the_service_in_order() {
    let broker = broker::start().await;
    let ending = run(&broker.url(), Misbehaviour::None).await;
    let client = client(&broker.url()).await;
    let reply: DrainReply = order(&client, ControlVerb::Drain, "").await.unwrap().json().unwrap();
    assert_eq!((reply.worker.as_str(), reply.inflight), ("echo-1", 0));
    tokio::time::timeout(PATIENCE, ending).await.unwrap().unwrap().unwrap();
    let gone = eventually("the end of its control subject", || async {
        order(&client, ControlVerb::Ping, "").await.err()
    });
    assert!(matches!(gone.await, MessagingError::NoResponders { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_order_may_shorten_the_deadline() {
    let broker = broker::start().await;
    let ending = run(&broker.url(), Misbehaviour::Deaf).await;
    let client = client(&broker.url()).await;
    order(&client, ControlVerb::Drain, r#"{"deadline_ms": 1000}"#).await.unwrap();
    let failed = tokio::time::timeout(Duration::from_secs(10), ending).await.unwrap().unwrap().unwrap_err();
    assert!(failed.to_string().contains("was not done after 700 ms"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_makes_no_sense_is_refused_and_changes_nothing() {
    let broker = broker::start().await;
    let ending = run(&broker.url(), Misbehaviour::None).await;
    let client = client(&broker.url()).await;
    let refused = order(&client, ControlVerb::Drain, r#"{"deadline": "soon"}"#).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidArgument, "{refused}");
    let reply: PingReply = order(&client, ControlVerb::Ping, "").await.unwrap().json().unwrap();
    assert!(reply.ready);
    ending.abort();
}
