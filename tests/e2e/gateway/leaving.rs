//! A gateway that is stopped while it has requests in hand, or while clients still come.

use futures_util::future::join_all;
use leat_test_harness::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::net::TcpStream;

use super::guarded::Guarded;
use super::http::{get, post};
use super::town;
use crate::process::ids;

const REQUESTS: usize = 8;

fn process(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed()).expect("a process")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_stopped_answers_what_it_has_in_hand_and_takes_no_more() {
    let (town, _) = town().await;
    let gateway = Guarded::start(&town, "leaving", &[]).await;
    gateway.ready().await;
    let worker = process(ids(&town.cluster, &["worker-1"])[0].1);
    let row = json!({ "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.0; 64] }] });
    kill_process(worker, Signal::STOP).expect("stopped");
    let port = gateway.http;
    let asked = join_all((0..REQUESTS).map(|_| post(port, "/v2/models/digits/infer", &row)));
    let stopped = async {
        // Together with the one that asks for the metrics.
        let line = format!("leat_gateway_inflight {}", REQUESTS + 1);
        eventually("every request is in hand", || async {
            let metrics = String::from_utf8(get(port, "/metrics").await.body).expect("text");
            metrics.lines().any(|shown| shown == line).then_some(())
        })
        .await;
        kill_process(process(gateway.id()), Signal::TERM).expect("told to stop");
        eventually("nobody new is let in", || async {
            TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(())
        })
        .await;
        kill_process(worker, Signal::CONT).expect("goes on");
    };
    let (replies, ()) = tokio::join!(asked, stopped);
    for reply in replies {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json()["outputs"][0]["shape"], json!([1, 10]));
    }
    assert!(gateway.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_leaves_slowly_says_so_and_answers_who_still_comes() {
    let (town, _) = town().await;
    let gateway = Guarded::start(&town, "slow", &[("LEAT_GATEWAY__LEAVING_MS", "10000")]).await;
    gateway.ready().await;
    let port = gateway.http;
    let row = json!({ "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.0; 64] }] });
    kill_process(process(gateway.id()), Signal::TERM).expect("told to stop");
    eventually("it says that it leaves", || async {
        (get(port, "/v2/health/ready").await.status == 503).then_some(())
    })
    .await;
    let answer = post(port, "/v2/models/digits/infer", &row).await;
    assert_eq!((answer.status, answer.headers["connection"].as_str()), (200, "close"));
    assert!(gateway.ended().await.success());
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_out_that_outlasts_stopping_is_refused_at_the_start() {
    let output = tokio::process::Command::new(crate::town::leat())
        .args(["service", "gateway"])
        .env("LEAT_GATEWAY__LEAVING_MS", "25000")
        .env_remove("LEAT_SHUTDOWN__DEADLINE_MS")
        .output()
        .await
        .expect("leat runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("leaving_ms: 25000 leaves no time"), "{stderr}");
}
