//! What clients notice when a worker goes away.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use leat_cli::{Load, LoadReport};
use leat_messaging::Error;

use crate::town::{Town, digits, row_request};

const REQUESTERS: usize = 64;
const VICTIM: &str = "worker-2";

/// Asks once, without asking again.
async fn ask(town: &Town, request: Bytes) -> Result<(), Error> {
    let subject = town.cluster.subjects().infer(&"digits".parse().expect("a name"));
    town.connection.request(subject, request, Duration::from_secs(2)).await.map(|_| ())
}

/// Waits until enough was answered for every worker to have its share.
async fn busy(load: &Load) -> LoadReport {
    let mut report = load.take_report();
    leat_test_harness::eventually("both workers are busy", || {
        report.append(&load.take_report()).expect("reports of one load");
        std::future::ready((report.answered_total() > 1_000).then_some(()))
    })
    .await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_inside_a_killed_worker_time_out() {
    let mut town = Town::with_two_digits_versions(2).await;
    let patience =
        leat_messaging::Patience { attempt: Duration::from_secs(2), total: Duration::from_secs(2) };
    let mut options = town.load(REQUESTERS);
    // One attempt takes all the time there is, so nothing is asked again and every loss shows.
    options.patience = patience;
    let load = Load::start(&town.connection, &options).expect("load starts");
    assert_eq!(busy(&load).await.failed_total(), 0);
    town.cluster.kill(VICTIM).await.expect("the worker is there");

    let digits = digits();
    let next = futures_util::stream::iter(0..500).map(|row| ask(&town, row_request(&digits, row)));
    let next = next.buffer_unordered(16);
    let failures: Vec<Error> = next.filter_map(|answer| std::future::ready(answer.err())).collect().await;
    assert!(failures.is_empty(), "{} requests after the kill failed: {failures:?}", failures.len());

    let report = load.stop().await;
    assert!(report.failed_total() <= REQUESTERS as u64, "more failed than were inside: {:?}", report.failed);
    for reason in report.failed.keys() {
        assert!(reason.contains("no answer within"), "not a timeout: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_in_order_loses_nothing() {
    let mut town = Town::with_two_digits_versions(2).await;
    let load = Load::start(&town.connection, &town.load(REQUESTERS)).expect("load starts");
    let mut report = busy(&load).await;
    town.cluster.stop_service(VICTIM).await.expect("the worker stops");
    report.append(&load.stop().await).expect("reports of one load");
    assert_eq!((report.failed_total(), report.repeated), (0, 0), "{:?}", report.failed);
}
