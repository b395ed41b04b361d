//! Load against a responder on a real broker.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in what it calls too")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_broker::Broker;
use leat_load::{Arrivals, Failure, Load, NatsTarget, Pace, StepReport, Target};
use leat_messaging::{ConnectOptions, Connection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SUBJECT: &str = "echo";
const STALL: Duration = Duration::from_millis(400);
/// What nobody waits for without a stall.
const LONG_NS: u64 = 100_000_000;

/// An echo that falls silent once, before it answers the request of this number.
async fn echo(broker: &Broker, stalls_at: Option<u64>) -> JoinHandle<()> {
    let connection = connect(broker).await;
    let mut requests = connection.queue_subscribe(SUBJECT, "q").await.expect("subscribed");
    connection.round_trip(STALL * 10).await.expect("the subscription is known");
    tokio::spawn(async move {
        let mut number = 0;
        while let Some(request) = requests.next().await {
            number += 1;
            if stalls_at == Some(number) {
                let _ = tokio::time::timeout(STALL, pending::<()>()).await;
            }
            let reply = request.reply().expect("a request").clone();
            connection.publish(reply, request.into_payload()).await.expect("answered");
        }
    })
}

async fn connect(broker: &Broker) -> Connection {
    Connection::connect(&ConnectOptions::new(broker.url(), "test")).await.expect("the broker answers")
}

async fn load(broker: &Broker, timeout: Duration) -> Load {
    let options = ConnectOptions::new(broker.url(), "load");
    let target = NatsTarget::connect(&options, 2, SUBJECT).await.expect("connected");
    Load {
        target: Target::Nats(target),
        requests: Arc::from([Bytes::from_static(b"one"), Bytes::from_static(b"two")]),
        timeout,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(1),
    }
}

async fn run(broker: &Broker, pace: Pace, timeout: Duration, stop: &CancellationToken) -> StepReport {
    load(broker, timeout).await.run(pace, stop).await.expect("the load runs")
}

fn open(max_outstanding: usize) -> Pace {
    Pace::Open { rate: 200.0, arrivals: Arrivals::Constant, max_outstanding, seed: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_counts_a_stall_for_everyone_who_would_have_met_it() {
    let broker = leat_test_harness::broker().await;
    let echo = echo(&broker, Some(20)).await;
    let report = run(&broker, open(1), STALL * 10, &CancellationToken::new()).await;
    assert_eq!(report.sent() + report.unsent, 200, "200 a second for a second, sent or not: {report:?}");
    assert!(report.failed.is_empty() && report.delayed > 0, "{report:?}");
    let (latency, service_time) = (&report.latency, &report.service_time);
    let hidden = latency.count() - service_time.count_at_most(LONG_NS);
    let shown = latency.count() - latency.count_at_most(LONG_NS);
    assert!(shown >= 40 && shown > hidden, "{shown} met the stall, {hidden} by their service time");
    echo.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_sees_a_stall_once_until_it_is_corrected() {
    let broker = leat_test_harness::broker().await;
    let echo = echo(&broker, Some(20)).await;
    let closed = Pace::Closed { concurrency: 1 };
    let report = run(&broker, closed, STALL * 10, &CancellationToken::new()).await;
    let corrected = report.latency.corrected(Duration::from_millis(5));
    let long =
        |histogram: &leat_statistics::LatencyHistogram| histogram.count() - histogram.count_at_most(LONG_NS);
    assert!(long(&report.latency) >= 1 && long(&corrected) >= long(&report.latency) + 59, "{report:?}");
    echo.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_reason() {
    let broker = leat_test_harness::broker().await;
    let stop = CancellationToken::new();
    // With a caller for each of them none waits for another one, however late this process runs.
    let report = run(&broker, open(200), Duration::from_secs(1), &stop).await;
    assert_eq!((report.answered, report.failed.get(&Failure::NoResponders)), (0, Some(&200)), "{report:?}");

    let silent = connect(&broker).await;
    let _subscription = silent.subscribe(SUBJECT).await.expect("subscribed");
    silent.round_trip(STALL * 10).await.expect("the subscription is known");
    let report = run(&broker, Pace::Closed { concurrency: 3 }, STALL, &stop).await;
    assert!(report.failed.get(&Failure::Timeout).is_some_and(|count| *count >= 3), "{report:?}");
    assert_eq!(report.answered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_step_and_what_was_measured_counts() {
    let broker = leat_test_harness::broker().await;
    let echo = echo(&broker, None).await;
    let stop = CancellationToken::new();
    stop.cancel();
    for pace in [open(10), Pace::Closed { concurrency: 2 }] {
        let report = run(&broker, pace, STALL, &stop).await;
        assert!(report.sent() + report.unsent <= 1, "{report:?}");
        assert!(report.elapsed < Duration::from_secs(1), "{report:?}");
    }
    echo.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_piled_up_while_warming_up_does_not_stand_before_what_counts() {
    let broker = leat_test_harness::broker().await;
    // The first request is answered only after the warming up.
    let echo = echo(&broker, Some(1)).await;
    let load = Load { warm_up: STALL / 2, ..load(&broker, STALL * 10).await };
    let report = load.run(open(1), &CancellationToken::new()).await.expect("the load runs");
    assert_eq!(report.sent() + report.unsent, 200, "{report:?}");
    assert!(report.answered > 0, "{report:?}");
    assert!(report.latency.max().is_some_and(|max| max >= LONG_NS), "the stall reached into it: {report:?}");
    echo.abort();
}
