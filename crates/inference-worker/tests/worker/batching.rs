//! Requests that wait for others to share their batch.

use futures_util::future::join_all;
use leat_contract::{Batching, VersionTotals};
use leat_inference_worker::Settings;

use crate::cluster::{Cluster, Worker, deployment, quick};
use crate::models::regression;

const DELAY_US: u32 = Batching::DELAY_US_MAX;

async fn gathering(batching: Batching, settings: Settings) -> (Cluster, Worker) {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", settings).await;
    let mut deployment = deployment(vec![cluster.store(1, 100, &regression(1.0)).await]);
    deployment.batching = batching;
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    (cluster, worker)
}

/// So many requests at the same time, each with its own numbers.
async fn ask(cluster: &Cluster, count: usize, deadline_ms: Option<u64>) {
    let deadline = deadline_ms.map(|deadline| format!(r#""deadline_ms":{deadline},"#)).unwrap_or_default();
    let payloads: Vec<String> =
        (0..count).map(|row| format!(r#"{{{deadline}"instances":[[{row},2]]}}"#)).collect();
    let answers = join_all(payloads.iter().map(|payload| cluster.predict(payload))).await;
    for (row, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap()["predictions"][0][0], row as f64 + 4.0);
    }
}

async fn totals(cluster: &Cluster, requests: u64) -> VersionTotals {
    let figures = cluster.figures_of(requests).await;
    serde_json::from_value(figures["endpoints"][0]["data"]["versions"][0]["totals"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_within_the_delay_share_a_batch() {
    let batching = Batching { max_delay_us: DELAY_US, ..Batching::default() };
    let (cluster, worker) = gathering(batching, quick()).await;
    ask(&cluster, 4, None).await;
    assert_eq!(totals(&cluster, 4).await.batches, 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preferred_size_ends_the_wait() {
    let batching = Batching { max_delay_us: DELAY_US, preferred_size: Some(4), ..Batching::default() };
    // A machine that stands still may use up the delay of one, but not of all. Only the first wait of a worker is sure to be one.
    for _ in 0..5 {
        let (cluster, worker) = gathering(batching.clone(), quick()).await;
        ask(&cluster, 4, None).await;
        let waited_ns = totals(&cluster, 4).await.queue.ns;
        worker.stop().await;
        if waited_ns < u64::from(DELAY_US) * 1000 {
            return;
        }
    }
    panic!("every batch waited for as long as it may");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_does_not_wait_for_others_beyond_its_deadline() {
    let batching = Batching { max_delay_us: DELAY_US, ..Batching::default() };
    let (cluster, worker) = gathering(batching, quick()).await;
    // The whole delay would be longer than there is time.
    ask(&cluster, 1, Some(900)).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_compute_threads_answer_each_request_once() {
    let settings = Settings { compute_threads: 3, batch_requests_max: 4, ..quick() };
    let (cluster, worker) = gathering(Batching { max_delay_us: 100, ..Batching::default() }, settings).await;
    for _ in 0..10 {
        ask(&cluster, 64, None).await;
    }
    assert_eq!(totals(&cluster, 640).await.rows, 640);
    worker.stop().await;
}
