//! Moving live traffic between versions.

use std::time::Duration;

use leat_cli::{Load, LoadReport};
use leat_contract::ModelVersion;

use crate::town::{Town, digits_path};

/// A long run sets another number: `LEAT_ROUTE_CHANGES=1000 cargo test -p leat-cli --test e2e route_changes`.
fn changes() -> usize {
    std::env::var("LEAT_ROUTE_CHANGES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

const REQUESTERS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_route_changes_under_load_fail_no_request() {
    let town = Town::with_two_digits_versions(2).await;
    let load = Load::start(&town.connection, &town.load(REQUESTERS)).expect("load starts");
    for change in 0..changes() {
        let version = if change % 2 == 0 { "digits@2" } else { "digits@1" };
        town.json(&["promote", version]).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failed_total(), 0, "{:?}", report.failed);
    assert_eq!(report.repeated, 0, "a request had to be sent again");
    for version in [1, 2] {
        let answered = report.answered.get(&ModelVersion::new(version).expect("a version"));
        assert!(
            answered.is_some_and(|count| *count > 0),
            "version {version} answered nothing: {:?}",
            report.answered
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_gets_its_share_and_a_rollback_takes_it_away() {
    let town = Town::with_two_digits_versions(2).await;
    let canary = town.json(&["deploy", "digits@2", "--weight", "10"]).await;
    assert_eq!(canary["routes"][1]["weight"], 10);
    let load = Load::start(&town.connection, &town.load(8)).expect("load starts");
    let canary = enough(&load).await;
    let second = canary.answered.get(&ModelVersion::new(2).expect("a version")).copied().unwrap_or(0) as f64;
    let share = second / canary.answered_total() as f64;
    assert!((0.09..0.11).contains(&share), "the canary got {share}");

    let back = town.json(&["rollback", "digits"]).await;
    assert_eq!(back["routes"].as_array().map(Vec::len), Some(1));
    assert_eq!(back["routes"][0]["version"], 1);
    let change = load.take_report();
    let back = enough(&load).await;
    assert_eq!(back.answered.keys().map(|version| version.get()).collect::<Vec<_>>(), [1]);
    for report in [canary, change, back, load.stop().await] {
        assert_eq!((report.failed_total(), report.repeated), (0, 0), "{:?}", report.failed);
    }
}

/// The others wait behind its runs on the only worker, so that whole requests do not show it.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_computes_longer_is_rolled_back_where_it_shares_the_worker() {
    let town = Town::with_workers(1).await;
    town.train_digits().await;
    town.json(&["deploy", "digits@1"]).await;
    let (data, hidden) = (digits_path(), ["--hidden", "1024,1024", "--epochs", "1"]);
    let data = data.to_str().expect("an ordinary path");
    town.json(&[&["train", "--name", "digits", "--data", data, "--target", "digit"], &hidden[..]].concat())
        .await;
    let trial = "deploy digits@2 --canary 50 --min-requests 200 --promote-after 1h";
    let limits = "--max-error-increase 1 --max-accuracy-drop 1 --max-latency-increase 0.1";
    town.json(&trial.split(' ').chain(limits.split(' ')).collect::<Vec<_>>()).await;
    let load = Load::start(&town.connection, &town.load(2)).expect("load starts");
    let event = town.json(&["events", "--of", "rollouts", "--from-start", "--limit", "1"]).await;
    assert_eq!(load.stop().await.failed_total(), 0);
    let event = &event["message"];
    let reason = event["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("its runs took "), "{event}");
    assert_eq!(event["what"], "rolled_back", "{event}");
    let back = town.json(&["status"]).await["deployments"][0].clone();
    assert_eq!((&back["routes"][0]["version"], &back["routes"][1]), (&1.into(), &().into()), "{back}");
}

/// Waits until there are enough answers for a share to mean something.
async fn enough(load: &Load) -> LoadReport {
    let mut report = load.take_report();
    leat_test_harness::within(Duration::from_secs(60), "two thousand requests are answered", || {
        report.append(&load.take_report()).expect("reports of one load");
        std::future::ready((report.answered_total() >= 2_000).then_some(()))
    })
    .await;
    report
}
