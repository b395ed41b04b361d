//! Routes that move.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leat_contract::{AssetRole, LoadState};

use crate::cluster::{Cluster, deployment, quick};
use crate::models::regression;

const REQUEST: &str = r#"{"instances":[[1,2]]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn any_hundred_requests_are_shared_exactly_by_weight() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let routes = vec![
        cluster.store(1, 70, &regression(1.0)).await,
        cluster.store(2, 29, &regression(2.0)).await,
        cluster.store(3, 1, &regression(3.0)).await,
        cluster.store(4, 0, &regression(4.0)).await,
    ];
    let revision = cluster.deploy(&deployment(routes)).await;
    cluster.applied(&worker, revision).await;
    let mut counts = BTreeMap::new();
    for _ in 0..100 {
        let reply = cluster.predict(REQUEST).await.unwrap();
        let version = reply["model_version"].as_str().unwrap().to_owned();
        assert_eq!(reply["predictions"][0][0], 5.0 * version.parse::<f64>().unwrap());
        *counts.entry(version).or_insert(0) += 1;
    }
    let expected = [("1", 70), ("2", 29), ("3", 1)].map(|(version, count)| (version.to_owned(), count));
    assert_eq!(counts, BTreeMap::from(expected));
    let pinned: serde_json::Value = cluster.ask(cluster.pinned(4), REQUEST).await.unwrap().json().unwrap();
    assert_eq!(pinned["model_version"], "4");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_routes_move_a_hundred_times_under_load() {
    let cluster = Arc::new(Cluster::start().await);
    let worker = cluster.worker("w1", quick()).await;
    let one = cluster.store(1, 100, &regression(1.0)).await;
    let two = cluster.store(2, 100, &regression(2.0)).await;
    let revision = cluster.deploy(&deployment(vec![one.clone()])).await;
    cluster.applied(&worker, revision).await;

    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let askers: Vec<_> = (0..64)
        .map(|_| {
            let (cluster, stop, asked) = (cluster.clone(), stop.clone(), asked.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let reply = cluster.predict(REQUEST).await.unwrap();
                    let version: f64 = reply["model_version"].as_str().unwrap().parse().unwrap();
                    assert_eq!(
                        reply["predictions"][0][0],
                        5.0 * version,
                        "the numbers are those of the version named"
                    );
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for flip in 0..100 {
        let route = if flip % 2 == 0 { &two } else { &one };
        let revision = cluster.deploy(&deployment(vec![route.clone()])).await;
        cluster.applied(&worker, revision).await;
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > 100);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_blob_keeps_the_old_version_serving_and_says_so_in_the_lease() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let good = cluster.store(1, 100, &regression(1.0)).await;
    let broken = cluster.store(2, 100, b"this is no model").await;
    cluster.deploy(&deployment(vec![broken.clone()])).await;
    let failed = |lease: &leat_contract::WorkerLease| {
        lease
            .loaded
            .iter()
            .any(|loaded| loaded.version == broken.version && loaded.state == LoadState::Failed)
    };
    let lease = cluster.lease_when(&worker, failed).await;
    let failed = lease.loaded(&crate::cluster::model(), broken.version).unwrap();
    let error = failed.error.as_ref().unwrap();
    assert!(error.message.starts_with("the model cannot be read: "), "{error}");
    assert!(lease.serves(&crate::cluster::model(), good.version));
    assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "1");

    let zeros = format!("sha256-{}", "0".repeat(64));
    let elsewhere = leat_contract::Route { digest: zeros.parse().unwrap(), ..broken };
    cluster.deploy(&deployment(vec![elsewhere.clone()])).await;
    let says = |what: &'static str| {
        move |lease: &leat_contract::WorkerLease| {
            let errors = lease.loaded.iter().filter_map(|loaded| loaded.error.as_ref());
            errors.into_iter().any(|error| error.message.contains(what))
        }
    };
    cluster.lease_when(&worker, says("does not exist")).await;
    assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "1");

    // Another model under its name.
    let blobs = cluster.storage.objects(AssetRole::Models);
    blobs.put_named(&zeros, &regression(2.0)).await.unwrap();
    cluster.deploy(&deployment(vec![elsewhere])).await;
    cluster.lease_when(&worker, says("is damaged: its digest is sha256-")).await;
    assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "1");

    let next = cluster.store(3, 100, &regression(3.0)).await;
    let revision = cluster.deploy(&deployment(vec![next])).await;
    let lease = cluster.applied(&worker, revision).await;
    assert!(lease.loaded.iter().all(|loaded| loaded.state == LoadState::Ready), "{lease:?}");
    assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "3");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_serves_what_can_be_loaded_of_a_deployment_and_the_rest_once_it_can() {
    let cluster = Cluster::start().await;
    let model = crate::cluster::model();
    let good = cluster.store(1, 90, &regression(1.0)).await;
    let (canary, shadow) =
        (cluster.store(2, 10, &regression(2.0)).await, cluster.store(3, 0, &regression(3.0)).await);
    for route in [&canary, &shadow] {
        cluster.storage.objects(AssetRole::Models).delete(route.digest.as_str()).await.unwrap();
    }
    let mut deployment = deployment(vec![good.clone(), canary.clone()]);
    deployment.shadow = Some(leat_contract::Shadow::new(shadow.version, shadow.digest.clone()));
    let revision = cluster.deploy(&deployment).await;
    let worker = cluster.worker("w1", quick()).await;
    let has = |number: u32, state: LoadState| {
        let (model, version) = (model.clone(), leat_contract::ModelVersion::new(number).unwrap());
        move |lease: &leat_contract::WorkerLease| {
            lease.loaded(&model, version).is_some_and(|loaded| loaded.state == state)
        }
    };
    let (first, failed) = (has(1, LoadState::Ready), [has(2, LoadState::Failed), has(3, LoadState::Failed)]);
    let is_partly =
        |lease: &leat_contract::WorkerLease| first(lease) && failed.iter().all(|failed| failed(lease));
    let lease = cluster.lease_when(&worker, is_partly).await;
    assert!(!lease.deployment_revisions.contains_key(&model), "the whole is not in force: {lease:?}");
    for _ in 0..20 {
        assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "1");
    }
    // One of them is mended, then the other.
    cluster.store(2, 10, &regression(2.0)).await;
    let (second, third) = (has(2, LoadState::Ready), has(3, LoadState::Failed));
    let lease = cluster.lease_when(&worker, |lease| second(lease) && third(lease)).await;
    assert!(!lease.deployment_revisions.contains_key(&model), "the whole is not in force: {lease:?}");
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(cluster.predict(REQUEST).await.unwrap()["model_version"].clone());
    }
    assert_eq!(answers.iter().filter(|version| *version == "2").count(), 1, "{answers:?}");
    cluster.store(3, 0, &regression(3.0)).await;
    cluster.applied(&worker, revision).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_does_not_give_the_live_route_to_a_canary() {
    let cluster = Cluster::start().await;
    let mut broken = cluster.store(1, 90, b"this is no model").await;
    let canary = cluster.store(2, 10, &regression(2.0)).await;
    cluster.deploy(&deployment(vec![broken.clone(), canary.clone()])).await;
    let worker = cluster.worker("w1", quick()).await;
    let failed = |lease: &leat_contract::WorkerLease| {
        lease
            .loaded(&crate::cluster::model(), broken.version)
            .is_some_and(|one| one.state == LoadState::Failed)
    };
    cluster.lease_when(&worker, failed).await;
    assert!(cluster.predict(REQUEST).await.is_err(), "nobody answers");
    broken = cluster.store(1, 90, &regression(1.0)).await;
    let revision = cluster.deploy(&deployment(vec![broken, canary])).await;
    cluster.applied(&worker, revision).await;
    assert_eq!(cluster.predict(REQUEST).await.unwrap()["model_version"], "1");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_that_move_while_a_version_loads_do_not_interrupt_it() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let one = cluster.store(1, 100, &regression(1.0)).await;
    // Large enough that loading takes longer than the shares move.
    let two = cluster.store(2, 0, &crate::models::slow(1000, 6)).await;
    let routes = |share: u32| {
        let weighted =
            |route: &leat_contract::Route, weight| leat_contract::Route { weight, ..route.clone() };
        deployment(vec![weighted(&one, 100 - share), weighted(&two, share)])
    };
    let begun = cluster.deploy(&routes(0)).await;
    // One after the other, as fast as the broker takes them.
    let newest = std::cell::Cell::new(begun);
    let moving = async {
        for share in (1..50).cycle() {
            newest.set(cluster.deploy(&routes(share)).await);
        }
    };
    tokio::select! {
        _ = cluster.applied(&worker, begun) => {}
        () = moving => panic!("shares move without end"),
    };
    let lease = cluster.applied(&worker, newest.get()).await;
    assert!(lease.serves(&crate::cluster::model(), two.version));
    worker.stop().await;
}
