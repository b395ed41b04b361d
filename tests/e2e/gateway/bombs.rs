//! Small bodies that are large once they are inflated, and workers that say nothing.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::guarded::Guarded;
use super::http::{get, post, send};
use super::town;
use crate::process::{ids, resident};

const INFER: &str = "/v2/models/digits/infer";
const BOMBS: usize = 48;
/// What one of them would be.
const INFLATED: usize = 256 << 20;
/// The most that may be inflated at a time.
const BODIES_MAX: u64 = 32 << 20;
/// What else the process may take meanwhile.
const BESIDES: u64 = 96 << 20;

/// So many zeros, as JSON that never ends.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = [b'0'; 1 << 16];
    for _ in 0..INFLATED / zeros.len() {
        encoder.write_all(&zeros).expect("memory");
    }
    encoder.finish().expect("memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_inflate_beyond_the_limit_are_refused_in_little_memory() {
    let (town, _) = town().await;
    let settings = [
        ("LEAT_GATEWAY__BODY_BYTES_MAX", (4 << 20).to_string()),
        ("LEAT_GATEWAY__BODIES_BYTES_MAX", BODIES_MAX.to_string()),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Guarded::start(&town, "bombed", &settings).await;
    gateway.ready().await;
    let before = resident(gateway.id());
    let bomb = bomb();
    let refusals = join_all((0..BOMBS).map(|_| async {
        let headers = [("content-encoding", "gzip"), ("content-type", "application/json")];
        send(gateway.http, &format!("POST {INFER}"), &headers, &bomb).await
    }));
    let peak = async {
        let mut peak = before;
        for _ in 0..100 {
            peak = peak.max(resident(gateway.id()));
            let pause = tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>());
            pause.await.expect_err("nothing ends the pause");
        }
        peak
    };
    let (refusals, peak) = tokio::join!(refusals, peak);
    for refusal in refusals {
        // Too large, or turned away because others of them take all the memory there is for bodies.
        assert!([413, 429, 503].contains(&refusal.status), "{refusal:?}");
    }
    assert!(peak < before + BODIES_MAX + BESIDES, "{before} bytes before, {peak} at most");
    assert_eq!(get(gateway.http, "/healthz").await.status, 200);
    let row = json!({ "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.0; 64] }] });
    assert_eq!(post(gateway.http, INFER, &row).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_says_nothing_costs_its_clients_no_more_than_their_deadline() {
    let (town, ports) = town().await;
    let worker = Pid::from_raw(ids(&town.cluster, &["worker-1"])[0].1.cast_signed()).expect("a process");
    let row = json!({
        "deadline_ms": 400,
        "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.0; 64] }],
    });
    kill_process(worker, Signal::STOP).expect("stopped");
    let begun = Instant::now();
    let reply = post(ports.http, INFER, &row).await;
    let waited = begun.elapsed();
    kill_process(worker, Signal::CONT).expect("goes on");
    assert_eq!(reply.status, 504, "{}", String::from_utf8_lossy(&reply.body));
    assert!(waited >= Duration::from_millis(300), "{waited:?}: nobody waited for the worker");
    assert_eq!(post(ports.http, INFER, &row).await.status, 200);
}
