//! `leat bench`: both loops over both ways, what it says of them, and what it refuses.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::town::{Town, digits_path, leat, run};

#[tokio::test(flavor = "multi_thread")]
async fn both_loops_are_counted_over_nats_and_over_http() {
    let town = Town::with_gateway(1).await;
    let url = gateway(&town);
    let closed = ["--concurrency", "1,4", "--duration", "300ms", "--warm-up", "50ms"];
    let open = ["--rate", "100,200", "--duration", "1s", "--warm-up", "0s", "--max-outstanding", "32"];
    for via in [&["--encoding", "json"][..], &["--rows", "3"], &["--via", "http", "--url", &url]] {
        let report = town.json(&[&["bench", "digits@1"], &closed[..], via].concat()).await;
        let steps = steps(&report, 2);
        assert_eq!((&steps[0]["concurrency"], &steps[1]["concurrency"]), (&1.into(), &4.into()));
        for step in steps {
            check_step(step);
            assert_eq!((&step["loop"], &step["coordinated_omission"]), (&"closed".into(), &"none".into()));
            assert!(step["offered_per_second"].is_null() && step["send_lag_us"].is_null(), "{step}");
        }
        let report = town.json(&[&["bench", "digits"], &open[..], via].concat()).await;
        for (step, rate) in steps_of_rates(&report) {
            check_step(step);
            assert_eq!(step["coordinated_omission"], "intended_time");
            let planned = step["sent"].as_u64().zip(step["unsent"].as_u64());
            assert_eq!(planned.map(|(sent, unsent)| sent + unsent), Some(rate), "{step}");
            assert!(
                step["service_time_us"]["p99"].is_number() && step["send_lag_us"]["p99"].is_number(),
                "{step}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_says_what_it_did_and_why_it_cannot() {
    let town = Town::with_gateway(1).await;
    let url = gateway(&town);
    let csv = digits_path();
    let csv = csv.to_str().expect("an ordinary path");
    let short = ["--duration", "200ms", "--warm-up", "0s"];
    let cases: [(&[&str], &str); 3] = [
        (&["--csv", csv, "--rows", "5"], "not corrected"),
        (&["--csv", csv, "--expected-interval", "1ms"], "by the expected interval"),
        (&["--rate", "50", "--arrivals", "poisson"], "should have been sent"),
    ];
    for (options, expected) in cases {
        let output = town.leat(&[&["bench", "digits@2"], options, &short[..]].concat()).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains(expected) && text.contains("p99.9"),
            "{options:?}: {text}"
        );
    }

    let http = ["--via", "http", "--url", &url];
    let refusals: [(&str, &[&str], &str); 7] = [
        ("nothing", &[], "is nothing deployed?"),
        ("digits@7", &[], "workers serve versions"),
        ("digits", &["--input", "[[1, 2]]"], "64"),
        ("digits", &["--rate", "0"], "rate"),
        ("nothing", &http, "no such model at the gateway"),
        ("digits", &["--via", "http", "--encoding", "messagepack"], "the gateway takes JSON"),
        ("digits", &["--via", "http", "--url", "http://127.0.0.1:1"], "is the gateway there?"),
    ];
    for (model, options, expected) in refusals {
        let output = town.leat(&[&["bench", model], options].concat()).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(expected), "{model} {options:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_without_a_broker_names_the_way_out() {
    let output = run("nats://127.0.0.1:1", &["bench", "digits"]).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("leat up"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_bench_and_shows_what_was_measured() {
    let town = Town::with_two_digits_versions(1).await;
    let mut command = Command::new(leat());
    command
        .args(["bench", "digits", "--duration", "10m", "--warm-up", "0s", "--output", "json"])
        .args(["--concurrency", "2,4"])
        .env("NATS_URL", town.cluster.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("leat runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let first = lines.next_line().await.expect("readable").expect("it says what it begins");
    assert!(first.contains("2 requesters"), "{first}");
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(id.expect("it runs"), rustix::process::Signal::INT).expect("it is told");
    let output = child.wait_with_output().await.expect("it ends");
    assert!(!output.status.success(), "an interrupted measurement is not a success");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!((&report["interrupted"], report["steps"].as_array().map(Vec::len)), (&true.into(), Some(1)));
}

fn gateway(town: &Town) -> String {
    let ports = town.cluster.gateway().expect("a gateway");
    format!("http://127.0.0.1:{}", ports.http)
}

fn steps(report: &Value, count: usize) -> &Vec<Value> {
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!((steps.len(), &report["interrupted"]), (count, &false.into()), "{report}");
    steps
}

fn steps_of_rates(report: &Value) -> impl Iterator<Item = (&Value, u64)> {
    steps(report, 2).iter().zip([100, 200])
}

/// Every request was answered, and the percentiles stand in their order.
fn check_step(step: &Value) {
    assert!(step["answered"].as_u64().is_some_and(|answered| answered > 0), "{step}");
    assert_eq!((&step["answered"], &step["errors"]), (&step["sent"], &serde_json::json!({})), "{step}");
    let figures = ["p50", "p90", "p99", "p99_9", "max"].map(|figure| step["latency_us"][figure].as_f64());
    assert!(figures.iter().all(Option::is_some) && figures.is_sorted(), "{step}");
}
