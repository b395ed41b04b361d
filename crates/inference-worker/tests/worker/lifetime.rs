//! What a worker survives.

use leat_test_harness::eventually;

use crate::cluster::{Cluster, deployment, quick};
use crate::models::regression;

const REQUEST: &str = r#"{"instances":[[1,2]]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn answers_again_after_the_broker_was_restarted() {
    let (mut cluster, worker) = Cluster::serving(&regression(1.0)).await;
    assert!(cluster.predict(REQUEST).await.is_ok());
    cluster.broker.kill().await;
    cluster.broker.restart().await.unwrap();
    let reply =
        eventually("an answer after the restart", || async { cluster.predict(REQUEST).await.ok() }).await;
    assert_eq!(reply["model_version"], "1");
    let route = eventually("a stored blob", || async {
        let objects = cluster.storage.objects(leat_contract::assets::AssetRole::Models);
        objects.put(&regression(2.0)).await.ok()
    })
    .await;
    let route = leat_contract::Route {
        version: leat_contract::ModelVersion::new(2).unwrap(),
        digest: route,
        weight: 100,
    };
    let revision = cluster.deploy(&deployment(vec![route])).await;
    cluster.applied(&worker, revision).await;
    assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "2");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_later_serves_what_is_deployed_and_gives_its_lease_back() {
    let cluster = Cluster::start().await;
    let route = cluster.store(1, 100, &regression(1.0)).await;
    let revision = cluster.deploy(&deployment(vec![route])).await;
    let worker = cluster.worker("w1", quick()).await;
    let lease = cluster.applied(&worker, revision).await;
    assert_eq!((lease.worker.as_str(), lease.loaded.len()), ("w1", 1));
    assert!(cluster.predict(REQUEST).await.is_ok());
    worker.stop().await;
    let leases =
        cluster.storage.key_value::<leat_contract::WorkerLease>(leat_contract::assets::AssetRole::Actual);
    assert!(leases.get("w1").await.unwrap().is_none());
    assert!(matches!(cluster.predict(REQUEST).await, Err(leat_messaging::Error::NoResponders { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_batch_is_not_waiting_for_ever() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let route = cluster.store(1, 100, &regression(1.0)).await;
    let mut deployment = deployment(vec![route]);
    deployment.batching = leat_contract::Batching { max_size: 3, max_delay_us: 20_000, preferred_size: None };
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&worker, revision).await;
    assert!(cluster.predict(REQUEST).await.is_ok());
    let rows = cluster.predict(r#"{"instances":[[1,2],[2,2],[3,2],[4,2],[5,2],[6,2],[7,2]]}"#).await.unwrap();
    let expected: Vec<_> = (1..=7).map(|a| serde_json::json!([f64::from(a) + 4.0])).collect();
    assert_eq!(rows["predictions"].as_array().unwrap(), &expected);
    let asking = (0..8).map(|_| cluster.predict(REQUEST));
    assert!(futures_util::future::join_all(asking).await.iter().all(Result::is_ok));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_does_not_wait_for_the_batch_of_another_model() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let mut patient = deployment(vec![cluster.store(1, 100, &regression(1.0)).await]);
    let hurried = leat_contract::Deployment { model: "hurried".parse().unwrap(), ..patient.clone() };
    let longest_us = leat_contract::Batching::DELAY_US_MAX;
    patient.batching =
        leat_contract::Batching { max_size: 64, max_delay_us: longest_us, preferred_size: None };
    for deployment in [&patient, &hurried] {
        let revision = cluster.deploy(deployment).await;
        cluster
            .lease_when(&worker, |lease| lease.deployment_revisions.values().any(|r| *r == revision))
            .await;
    }
    let longest = std::time::Duration::from_micros(longest_us.into());
    let begun = std::time::Instant::now();
    let hurrying = async {
        let answered = cluster.ask(cluster.subjects.infer(&hurried.model), REQUEST).await;
        (answered, begun.elapsed())
    };
    // Whether it is answered past the other model's request or ends its wait, it does not wait as long.
    let (patient, (hurried, elapsed)) = tokio::join!(cluster.predict(REQUEST), hurrying);
    assert!(patient.is_ok() && hurried.is_ok());
    assert!(elapsed < longest, "{elapsed:?}");
    worker.stop().await;
}
