//! From start to stop, within this process.

use std::time::{Duration, Instant};

use leat_broker::BrokerOptions;
use leat_contract::AssetRole;
use leat_messaging::Error as MessagingError;
use leat_service_runtime::{Context, Error, exit_code, serve};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{self, PATIENCE, client, eventually, settings, subjects};
use crate::echo::{Echo, Misbehaviour, model};

struct Running {
    context: Context,
    shutdown: CancellationToken,
    ending: JoinHandle<Result<(), Error>>,
}

async fn run(url: &str, misbehaviour: Misbehaviour, deadline_ms: u64) -> Running {
    let mut settings = settings(url, "echo-1");
    settings.shutdown.deadline_ms = deadline_ms;
    let (echo, started) = Echo::new(misbehaviour);
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let ending = tokio::spawn(async move { serve(&settings, echo, token).await });
    let context = tokio::time::timeout(PATIENCE, started).await.unwrap().expect("the service started");
    Running { context, shutdown, ending }
}

impl Running {
    async fn ended(self) -> Result<(), Error> {
        tokio::time::timeout(PATIENCE, self.ending).await.expect("the service ends").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_request_is_lost_when_the_service_stops() {
    let broker = broker::start().await;
    let running = run(&broker.url(), Misbehaviour::None, 20_000).await;
    let client = client(&broker.url()).await;
    let mut callers = Vec::new();
    for caller in 0..8_u32 {
        let client = client.clone();
        callers.push(tokio::spawn(async move {
            let mut answered = 0_u32;
            loop {
                let payload = format!("{caller}:{answered}");
                match client.request(subjects().infer(&model()), payload.clone(), PATIENCE).await {
                    Ok(reply) => assert_eq!(reply.payload(), payload.as_bytes()),
                    Err(MessagingError::NoResponders { .. }) => return answered,
                    Err(error) => panic!("request {payload} was lost: {error}"),
                }
                answered += 1;
            }
        }));
    }
    let before = client.request(subjects().infer(&model()), "warm", PATIENCE).await.unwrap();
    assert_eq!(before.payload().as_ref(), b"warm");
    running.shutdown.cancel();
    let readiness = running.context.readiness.clone();
    running.ended().await.unwrap();
    assert!(readiness.report().reasons.contains_key("stopping"), "{:?}", readiness.report());
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_service_is_handed_provisioned_storage_and_four_connections() {
    let broker = broker::start().await;
    let running = run(&broker.url(), Misbehaviour::None, 20_000).await;
    let context = &running.context;
    context.storage.verify().await.unwrap();
    assert!(context.storage.key_value::<String>(AssetRole::Registry).get("none").await.unwrap().is_none());
    assert_eq!(context.instance.as_str(), "echo-1");
    assert!(context.readiness.is_ready());
    assert!(context.metrics.encode().unwrap().contains("leat_broker_reconnects_total 0"));
    running.shutdown.cancel();
    running.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitoring_of_the_broker_shows_what_every_connection_is_for() {
    let monitoring_port = free_port();
    let broker =
        broker::start_with(BrokerOptions { monitoring_port: Some(monitoring_port), ..Default::default() })
            .await;
    let running = run(&broker.url(), Misbehaviour::None, 20_000).await;
    let asking = tokio::task::spawn_blocking(move || {
        let mut reply = ureq::get(format!("http://127.0.0.1:{monitoring_port}/connz")).call().unwrap();
        reply.body_mut().read_to_string().unwrap()
    });
    let shown = asking.await.unwrap();
    for purpose in ["ingest", "reply", "storage", "control"] {
        assert!(
            shown.contains(&format!("\"leat-echo/echo-1/{purpose}\"")),
            "{purpose} is missing in {shown}"
        );
    }
    running.shutdown.cancel();
    running.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_connection() {
    let mut broker = broker::start().await;
    let running = run(&broker.url(), Misbehaviour::None, 20_000).await;
    let readiness = running.context.readiness.clone();
    broker.kill().await;
    tokio::time::timeout(PATIENCE, readiness.wait(false)).await.unwrap();
    let report = readiness.report();
    assert!(report.reasons.keys().all(|name| name.starts_with("connection ")), "{report:?}");
    broker.restart().await.unwrap();
    tokio::time::timeout(PATIENCE, readiness.wait(true)).await.unwrap();
    let client = client(&broker.url()).await;
    let answered = eventually("an answer after the restart", || async {
        client.request(subjects().infer(&model()), "again", Duration::from_secs(1)).await.ok()
    });
    assert_eq!(answered.await.payload().as_ref(), b"again");
    running.shutdown.cancel();
    running.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_stops_while_the_broker_is_away() {
    let mut broker = broker::start().await;
    let running = run(&broker.url(), Misbehaviour::None, 20_000).await;
    let readiness = running.context.readiness.clone();
    broker.kill().await;
    tokio::time::timeout(PATIENCE, readiness.wait(false)).await.unwrap();
    running.shutdown.cancel();
    // A step that waited for the broker would be cut off, which is an error.
    running.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_a_broker_that_starts_later() {
    let port = free_port();
    let url = format!("nats://127.0.0.1:{port}");
    let starting = tokio::spawn(async move { run(&url, Misbehaviour::None, 20_000).await });
    let _broker = broker::start_with(BrokerOptions { port, ..Default::default() }).await;
    let running = starting.await.unwrap();
    running.shutdown.cancel();
    running.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_broker_ends_when_asked_to_stop() {
    let settings = settings(&format!("nats://127.0.0.1:{}", free_port()), "echo-1");
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let ending = tokio::spawn(async move { serve(&settings, Echo::new(Misbehaviour::None).0, token).await });
    shutdown.cancel();
    tokio::time::timeout(PATIENCE, ending).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_never_comes_is_an_error() {
    let mut settings = settings(&format!("nats://127.0.0.1:{}", free_port()), "echo-1");
    settings.nats.connect_deadline_ms = 300;
    let failed =
        serve(&settings, Echo::new(Misbehaviour::None).0, CancellationToken::new()).await.unwrap_err();
    assert_eq!(failed.exit_code(), exit_code::UNAVAILABLE, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_provisioning_missing_streams_are_an_error() {
    let broker = broker::start().await;
    let mut settings = settings(&broker.url(), "echo-1");
    settings.nats.provision = false;
    let failed =
        serve(&settings, Echo::new(Misbehaviour::None).0, CancellationToken::new()).await.unwrap_err();
    assert!(failed.to_string().contains("does not exist"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_health_port_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings("nats://127.0.0.1:1", "echo-1");
    settings.http.bind = Some(taken.local_addr().unwrap());
    let failed =
        serve(&settings, Echo::new(Misbehaviour::None).0, CancellationToken::new()).await.unwrap_err();
    assert_eq!(failed.exit_code(), exit_code::MACHINE, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_fail_is_told() {
    let broker = broker::start().await;
    let expected = [
        (Misbehaviour::Error, "service echo failed: the mill is broken"),
        (Misbehaviour::Panic, "service echo failed: panicked: the wheel came off"),
        (Misbehaviour::Leave, "service echo failed: it ended before shutdown"),
        (Misbehaviour::TaskError, "task grind failed: no grain"),
    ];
    for (misbehaviour, message) in expected {
        let failed = run(&broker.url(), misbehaviour, 20_000).await.ended().await.unwrap_err();
        assert_eq!(failed.to_string(), message);
        assert_eq!(failed.exit_code(), exit_code::FAILED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_or_task_that_does_not_stop_is_cut_off_within_the_deadline() {
    let broker = broker::start().await;
    for misbehaviour in [Misbehaviour::Deaf, Misbehaviour::StuckTask] {
        let running = run(&broker.url(), misbehaviour, 1_000).await;
        let asked = Instant::now();
        running.shutdown.cancel();
        let failed = running.ended().await.unwrap_err();
        assert_eq!(failed.to_string(), "stopping was cut off: finishing work was not done after 700 ms");
        assert_eq!(failed.exit_code(), exit_code::INCOMPLETE);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

/// A port that nobody listens on right now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
