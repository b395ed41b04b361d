//! A cluster that works for a long time at 70 % of what it can do: nothing fails and nothing grows.
//!
//! A few seconds unless told otherwise; ten minutes with
//! `LEAT_SOAK_SECONDS=600 cargo test --release -p leat-cli --test e2e soak -- --nocapture`.
#![allow(clippy::print_stdout, reason = "the figures of a long run are what it is for")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_contract::assets;
use leat_load::{Arrivals, HttpTarget, Load, NatsTarget, Pace, StepReport, Target};
use leat_messaging::ConnectOptions;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::process;
use crate::town::{Town, digits, row_request};

/// Of the most that is answered over NATS; what the gateway passes on takes about a tenth of the machine besides.
const NATS_SHARE: f64 = 0.6;
const GATEWAY_SHARE: f64 = 0.04;
/// Fewer than may wait for a model, so that what is sent late all at once is not refused.
const OUTSTANDING_MAX: usize = 256;
/// Shorter runs say nothing about memory: it is still settling.
const MEMORY_JUDGED_FROM: Duration = Duration::from_secs(120);
const MEMORY_CHANGE_MAX: f64 = 0.02;
const SERVICES: [&str; 6] = ["trainer-1", "compressor-1", "worker-1", "worker-2", "monitor-1", "gateway-1"];

fn duration() -> Duration {
    let seconds = std::env::var("LEAT_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// What must not grow.
#[derive(Debug, Clone, PartialEq)]
struct Footprint {
    /// Memory of each service in bytes.
    resident: BTreeMap<&'static str, u64>,
    descriptors: BTreeMap<&'static str, usize>,
    consumers: u64,
}

impl Footprint {
    async fn of(town: &Town) -> Self {
        let processes = process::ids(&town.cluster, &SERVICES);
        let resident = processes.iter().map(|&(name, id)| (name, process::resident(id))).collect();
        let descriptors = processes.iter().map(|&(name, id)| (name, process::descriptors(id))).collect();
        let mut consumers = 0;
        for asset in assets::all(town.cluster.subjects()) {
            let subject = format!("$JS.API.STREAM.INFO.{}", asset.stream_name());
            let reply =
                town.connection.request(subject, "", Duration::from_secs(5)).await.expect("an answer");
            let info: Value = reply.json().expect("a description");
            consumers += info["state"]["consumer_count"].as_u64().unwrap_or(0);
        }
        Self { resident, descriptors, consumers }
    }
}

/// The same rows over NATS and over HTTP.
struct Roads {
    nats: Load,
    http: Load,
}

impl Roads {
    async fn to(town: &Town) -> Self {
        let digits = digits();
        let binary = (0..digits.len()).map(|row| row_request(&digits, row)).collect();
        let text = (0..digits.len()).map(|row| {
            let values = digits.rows.row(row).to_vec();
            let shape = [1, values.len()];
            let input = json!({ "name": "input", "shape": shape, "datatype": "FP32", "data": values });
            Bytes::from(json!({ "inputs": [input] }).to_string())
        });
        let options = ConnectOptions::new(town.cluster.url(), "soak");
        let subject = town.cluster.subjects().infer(&"digits".parse().expect("a name"));
        let nats = NatsTarget::connect(&options, 1, subject).await.expect("the broker answers");
        let port = town.cluster.gateway().expect("a gateway").http;
        let path = "/v2/models/digits/infer";
        let http = HttpTarget::new(&format!("http://127.0.0.1:{port}"), path).expect("an address");
        let load = |target, requests: Arc<[Bytes]>| Load {
            target,
            requests,
            timeout: Duration::from_secs(10),
            warm_up: Duration::ZERO,
            duration: Duration::ZERO,
        };
        Self { nats: load(Target::Nats(nats), binary), http: load(Target::Http(http), text.collect()) }
    }

    async fn most_over_nats(&self, duration: Duration) -> f64 {
        let load = Load { duration, ..self.nats.clone() };
        let pace = Pace::Closed { concurrency: 64 };
        let report = load.run(pace, &CancellationToken::new()).await.expect("the load runs");
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        report.answered_per_second()
    }

    /// Asks over both for so long; `most` are answered in a second over NATS alone.
    async fn both(&self, duration: Duration, most: f64) {
        let step = async |load: &Load, share: f64| {
            let load = Load { duration, ..load.clone() };
            let pace = Pace::Open {
                rate: share * most,
                arrivals: Arrivals::Poisson,
                max_outstanding: OUTSTANDING_MAX,
                seed: 1,
            };
            load.run(pace, &CancellationToken::new()).await.expect("the load runs")
        };
        let (nats, http) = tokio::join!(step(&self.nats, NATS_SHARE), step(&self.http, GATEWAY_SHARE));
        told("NATS", &nats);
        told("HTTP", &http);
    }
}

fn told(road: &str, report: &StepReport) {
    let per_second = report.answered_per_second();
    println!("{road}: {} answered, {per_second:.0}/s, {} never sent", report.answered, report.unsent);
    assert!(report.failed.is_empty() && report.answered > 0, "{road}: {:?}", report.failed);
}

async fn pause(time: Duration) {
    tokio::time::timeout(time, std::future::pending::<()>()).await.expect_err("nothing ends the pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_at_seventy_percent_fails_nothing_and_grows_nothing() {
    let (town, time) = (Town::with_gateway(2).await, duration());
    let roads = Roads::to(&town).await;
    let most = roads.most_over_nats(time.min(Duration::from_secs(10)) / 2).await;
    // Both readings are taken under the same load, once its connections are open and its buffers have their sizes.
    let (warm_up, end) = (time / 5, time / 20);
    let loaded = warm_up + time + end;
    let readings = async {
        pause(warm_up).await;
        let before = Footprint::of(&town).await;
        pause(time).await;
        (before, Footprint::of(&town).await)
    };
    let ((before, after), ()) = tokio::join!(readings, roads.both(loaded, most));
    println!("after {warm_up:?}: {before:?}\nafter {time:?} more: {after:?}");
    let has_grown = |name| after.descriptors[name] > before.descriptors[name];
    assert!(!SERVICES.into_iter().any(has_grown), "{before:?} became {after:?}");
    // Consumers of what was read before may still have gone away.
    assert!(after.consumers <= before.consumers, "{before:?} became {after:?}");
    for name in SERVICES.iter().filter(|_| time >= MEMORY_JUDGED_FROM) {
        let change = after.resident[name] as f64 / before.resident[name] as f64 - 1.0;
        assert!(change.abs() <= MEMORY_CHANGE_MAX, "the memory of {name} changed by {:.2} %", 100.0 * change);
    }
}
