//! Workers that come and go while requests arrive.

use std::time::Duration;

use leat_cli::{Load, LoadReport, ServiceKind};

use crate::town::Town;

const REQUESTERS: usize = 64;

/// Waits until a thousand more requests were answered.
async fn a_thousand_more(load: &Load, report: &mut LoadReport) {
    let before = report.answered_total();
    leat_test_harness::within(Duration::from_secs(60), "a thousand more requests are answered", || {
        report.append(&load.take_report()).expect("reports of one load");
        std::future::ready((report.answered_total() > before + 1_000).then_some(()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_worker_to_two_to_four_and_back_no_request_fails() {
    let mut town = Town::with_two_digits_versions(1).await;
    let load = Load::start(&town.connection, &town.load(REQUESTERS)).expect("load starts");
    let mut report = load.take_report();
    a_thousand_more(&load, &mut report).await;
    for worker in ["worker-2", "worker-3", "worker-4"] {
        town.cluster.start_service(ServiceKind::InferenceWorker, worker).await.expect("a worker starts");
        a_thousand_more(&load, &mut report).await;
    }
    for worker in ["worker-1", "worker-3", "worker-2"] {
        town.cluster.stop_service(worker).await.expect("a worker stops");
        a_thousand_more(&load, &mut report).await;
    }
    report.append(&load.stop().await).expect("reports of one load");
    assert_eq!((report.failed_total(), report.repeated), (0, 0), "{:?}", report.failed);
}
