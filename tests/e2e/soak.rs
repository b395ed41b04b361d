//! A cluster that works for a long time at 70 % of what it can do: nothing fails and nothing grows.
//!
//! A few seconds unless told otherwise; ten minutes with
//! `LEAT_SOAK_SECONDS=600 cargo test --release -p leat-cli --test e2e soak -- --nocapture`.
#![allow(clippy::print_stdout, reason = "the figures of a long run are what it is for")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use leat_cli::Load;
use leat_contract::assets;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::town::{Town, digits, row_request};

const SHARE: f64 = 0.7;
/// Shorter runs say nothing about memory: it is still settling.
const MEMORY_JUDGED_FROM: Duration = Duration::from_secs(120);
const MEMORY_CHANGE_MAX: f64 = 0.02;
const WORKERS: [&str; 2] = ["worker-1", "worker-2"];

fn duration() -> Duration {
    let seconds = std::env::var("LEAT_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// What must not grow.
#[derive(Debug, Clone, PartialEq)]
struct Footprint {
    resident_bytes: u64,
    descriptors: usize,
    consumers: u64,
}

impl Footprint {
    async fn of(town: &Town) -> Self {
        let ids = WORKERS.iter().filter_map(|worker| town.cluster.process_id(worker));
        let (mut resident_bytes, mut descriptors) = (0, 0);
        for id in ids {
            resident_bytes += resident(id);
            descriptors += std::fs::read_dir(format!("/proc/{id}/fd")).expect("a process").count();
        }
        let mut consumers = 0;
        for asset in assets::all(town.cluster.subjects()) {
            let subject = format!("$JS.API.STREAM.INFO.{}", asset.stream_name());
            let reply =
                town.connection.request(subject, "", Duration::from_secs(5)).await.expect("an answer");
            let info: Value = reply.json().expect("a description");
            consumers += info["state"]["consumer_count"].as_u64().unwrap_or(0);
        }
        Self { resident_bytes, descriptors, consumers }
    }
}

/// The resident memory of a process in bytes.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kib.expect("a number") * 1024
}

/// Sends so many requests a second for some time; gives how many were answered, and the failures by reason.
async fn paced(town: &Town, time: Duration, per_second: f64) -> (u64, BTreeMap<String, u64>) {
    let digits = digits();
    let requests: Vec<_> = (0..digits.len()).map(|row| row_request(&digits, row)).collect();
    let subject =
        leat_messaging::Subject::from(town.cluster.subjects().infer(&"digits".parse().expect("a name")));
    let failures = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
    let (begun, mut sent, mut tasks) = (Instant::now(), 0_usize, JoinSet::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while begun.elapsed() < time {
        let due = (begun.elapsed().as_secs_f64() * per_second) as usize;
        for number in sent..due {
            let (connection, subject, failures) =
                (town.connection.clone(), subject.clone(), failures.clone());
            let request = requests[number % requests.len()].clone();
            tasks.spawn(async move {
                if let Err(error) = connection.request(subject, request, Duration::from_secs(5)).await {
                    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                    *failures.entry(error.to_string()).or_default() += 1;
                }
            });
        }
        sent = due.max(sent);
        while tasks.try_join_next().is_some() {}
        ticks.tick().await;
    }
    while tasks.join_next().await.is_some() {}
    let failures = std::mem::take(&mut *failures.lock().unwrap_or_else(PoisonError::into_inner));
    (sent as u64 - failures.values().sum::<u64>(), failures)
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_at_seventy_percent_fails_nothing_and_grows_nothing() {
    let (town, time) = (Town::with_two_digits_versions(2).await, duration());
    let load = Load::start(&town.connection, &town.load(64)).expect("load starts");
    tokio::time::timeout(time.min(Duration::from_secs(10)) / 2, std::future::pending::<()>())
        .await
        .unwrap_err();
    let most = load.stop().await;
    assert_eq!(most.failed_total(), 0, "{:?}", most.failed);
    let per_second = SHARE * most.requests_per_second();
    let (warm, failed) = paced(&town, time / 5, per_second).await;
    assert!(failed.is_empty() && warm > 0, "{failed:?}");
    let before = Footprint::of(&town).await;
    let (answered, failed) = paced(&town, time, per_second).await;
    let after = Footprint::of(&town).await;
    println!("{answered} requests at {per_second:.0}/s for {time:?}: {failed:?}, {before:?} then {after:?}");
    assert!(failed.is_empty(), "{failed:?}");
    // Consumers of what was read before may still have gone away.
    let has_grown = after.descriptors > before.descriptors || after.consumers > before.consumers;
    assert!(!has_grown, "{before:?} became {after:?}");
    let change = after.resident_bytes as f64 / before.resident_bytes as f64 - 1.0;
    if time >= MEMORY_JUDGED_FROM {
        assert!(change.abs() <= MEMORY_CHANGE_MAX, "memory changed by {:.2} %", 100.0 * change);
    }
}
