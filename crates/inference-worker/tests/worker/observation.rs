//! What a worker tells of itself: predictions and telemetry.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use leat_contract::assets::AssetRole;
use leat_contract::{Batching, ErrorCode, PredictedValue, PredictionBatch, WorkerTelemetry, decode};
use leat_messaging::{Position, Subscription};
use leat_statistics::LatencyHistogram;
use leat_test_harness::eventually;

use crate::cluster::{Cluster, deployment, quick};
use crate::models::{classifier, regression};

#[tokio::test(flavor = "multi_thread")]
async fn predictions_for_requests_with_an_id_are_recorded() {
    let (cluster, worker) = Cluster::serving(&classifier()).await;
    for number in 0..300 {
        cluster.predict(&format!(r#"{{"id":"r-{number}","instances":[[0,2],[3,0]]}}"#)).await.unwrap();
    }
    cluster.predict(r#"{"instances":[[0,2]]}"#).await.unwrap();
    let _ = cluster.predict(r#"{"id":"bad","instances":[[0]]}"#).await;
    worker.stop().await;
    let log = cluster.storage.event_log(AssetRole::Prediction);
    let stored =
        log.follow(&cluster.subjects.prediction_all(), Position::Beginning).take_stored(1000).await.unwrap();
    let batches: Vec<PredictionBatch> =
        stored.iter().map(|stored| decode(stored.payload()).unwrap().0).collect();
    let records: Vec<_> = batches.iter().flat_map(|batch| &batch.records).collect();
    let ids: BTreeSet<&str> = records.iter().map(|record| record.request_id.as_str()).collect();
    assert_eq!((records.len(), ids.len()), (300, 300));
    assert!(batches.len() < 300, "records are published together");
    for record in records {
        let labels: Vec<&str> = record
            .rows
            .iter()
            .map(|row| match row {
                PredictedValue::Class { label, .. } => label.as_str(),
                PredictedValue::Values(_) => panic!("a classifier has classes"),
            })
            .collect();
        assert_eq!((labels, record.version.get()), (vec!["yes", "no"], 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_predictions_are_recorded_as_the_deployment_says() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let route = cluster.store(1, 100, &regression(1.0)).await;
    let mut deployment = deployment(vec![route]);
    deployment.record.ratio = 0.0;
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    cluster.predict(r#"{"id":"r-1","instances":[[0,2]]}"#).await.unwrap();
    worker.stop().await;
    assert_eq!(cluster.storage.event_log(AssetRole::Prediction).messages().await.unwrap(), 0);
}

/// What is told of so many requests.
async fn told(arriving: &mut Subscription, requests: u64) -> Vec<WorkerTelemetry> {
    let mut messages: Vec<WorkerTelemetry> = Vec::new();
    eventually("everything is told", || {
        let taken =
            std::iter::from_fn(|| arriving.try_next()).map(|message| decode(message.payload()).unwrap().0);
        messages.extend(taken);
        let told: u64 = messages.iter().flat_map(|message| &message.models).map(|told| told.requests).sum();
        async move { (told >= requests).then_some(()) }
    })
    .await;
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_taken_together_are_told_apart_by_version() {
    let cluster = Cluster::start().await;
    let mut arriving = cluster.connection.subscribe(cluster.subjects.telemetry_all()).await.unwrap();
    let worker = cluster.worker("w1", quick()).await;
    let routes =
        vec![cluster.store(1, 50, &regression(1.0)).await, cluster.store(2, 50, &regression(2.0)).await];
    let mut deployment = deployment(routes);
    // Nothing is taken before all are there.
    deployment.batching =
        Batching { max_size: 64, max_delay_us: Batching::DELAY_US_MAX, preferred_size: None };
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    let ask = async |input: u32| {
        let reply = cluster.predict(&format!(r#"{{"instances":[[{input},0]]}}"#)).await.unwrap();
        let version: f64 = reply["model_version"].as_str().unwrap().parse().unwrap();
        assert_eq!(reply["predictions"], serde_json::json!([[f64::from(input) * version]]));
    };
    join_all((0..64).map(ask)).await;
    worker.stop().await;
    let messages = told(&mut arriving, 64).await;
    for version in [1, 2] {
        let models = messages.iter().flat_map(|message| &message.models);
        let figures = models.filter(|told| told.version.get() == version);
        let sum = figures.map(|told| [told.requests, told.rows, told.batches]);
        let sum = sum.fold([0; 3], |sum, told| std::array::from_fn(|index| sum[index] + told[index]));
        assert_eq!(sum, [32, 32, 1], "requests, rows and batches of version {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_adds_up_with_what_was_sent() {
    let cluster = Cluster::start().await;
    let mut arriving = cluster.connection.subscribe(cluster.subjects.telemetry_all()).await.unwrap();
    let worker = cluster.worker("w1", quick()).await;
    let routes =
        vec![cluster.store(1, 50, &regression(1.0)).await, cluster.store(2, 50, &regression(2.0)).await];
    let revision = cluster.deploy(&deployment(routes)).await;
    cluster.applied(&worker, revision).await;
    for _ in 0..100 {
        cluster.predict(r#"{"instances":[[1,2],[3,4],[5,6]]}"#).await.unwrap();
    }
    for _ in 0..10 {
        cluster.ask(cluster.pinned(1), "{}").await.unwrap_err();
    }
    worker.stop().await;
    let messages = told(&mut arriving, 110).await;
    let sequences: Vec<u64> = messages.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (0..messages.len() as u64).collect::<Vec<_>>());
    assert!(messages.last().unwrap().process.cpu_seconds_total > 0.0);
    for (version, requests, errors) in [(1, 60, 10), (2, 50, 0)] {
        let told: Vec<_> = messages
            .iter()
            .flat_map(|message| &message.models)
            .filter(|told| told.version.get() == version)
            .collect();
        assert_eq!(told.iter().map(|told| told.requests).sum::<u64>(), requests);
        assert_eq!(told.iter().map(|told| told.rows).sum::<u64>(), 150);
        assert_eq!(
            told.iter().filter_map(|told| told.errors.get(&ErrorCode::InvalidArgument)).sum::<u64>(),
            errors
        );
        assert_eq!(told.iter().map(|told| told.batches).sum::<u64>(), 50);
        let mut latency = LatencyHistogram::new();
        for told in told.iter().filter(|told| !told.latency.is_empty()) {
            latency.merge_bytes(&told.latency).unwrap();
        }
        assert_eq!(latency.count(), requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_requests_of_a_model_are_in_the_figures_of_the_micro_protocol() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let route = cluster.store(1, 100, &regression(1.0)).await;
    cluster.deploy(&deployment(vec![route])).await;
    eventually("a first answer", || async { cluster.predict(r#"{"instances":[[1,2]]}"#).await.ok() }).await;
    cluster.figures_of(1).await;
    worker.stop().await;
}
