//! How versions are tried: shadows, keys that stay with their version, workers that are chosen.

use std::collections::{BTreeMap, BTreeSet};

use leat_contract::assets::AssetRole;
use leat_contract::{ErrorCode, Shadow};
use leat_inference_worker::Settings;
use leat_messaging::Error;
use leat_test_harness::eventually;
use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment, quick};
use crate::models::{classifier, regression, slow};

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_compared_and_never_answers() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let mut deployment = deployment(vec![cluster.store(1, 100, &regression(1.0)).await]);
    let shadow = cluster.store(2, 0, &regression(2.0)).await;
    deployment.shadow = Some(Shadow { ratio: 0.5, ..Shadow::new(shadow.version, shadow.digest) });
    let revision = cluster.deploy(&deployment).await;
    let lease = cluster.applied(&worker, revision).await;
    assert_eq!(lease.loaded.len(), 2);
    for number in 0..200 {
        // Every second request has rows that both answer alike.
        let row = if number % 4 < 2 { "[0,0]" } else { "[1,2]" };
        let reply = cluster.predict(&format!(r#"{{"instances":[{row}]}}"#)).await.unwrap();
        assert_eq!(reply["model_version"], "1");
    }
    let counts = eventually("the copies were run", || async {
        let stats = cluster.ask("$SRV.STATS.leat-inference-worker".to_owned(), "").await.unwrap();
        let stats: Value = stats.json().unwrap();
        let counts = stats["endpoints"][0]["data"]["shadow"]["counts"].clone();
        (counts["mirrored"] == 100).then_some(counts)
    })
    .await;
    let told = [&counts["rows"], &counts["disagreements"], &counts["dropped"], &counts["failed"]];
    assert_eq!(told, [100, 50, 0, 0], "{counts}");
    assert_eq!(counts["difference_max"], 5.0);
    let nobody = cluster.ask(cluster.pinned(2), r#"{"instances":[[1,2]]}"#).await;
    assert!(matches!(nobody, Err(Error::NoResponders { .. })), "{nobody:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_with_its_version_on_every_worker() {
    let cluster = Cluster::start().await;
    let (one, two) = (cluster.worker("w1", quick()).await, cluster.worker("w2", quick()).await);
    let routes =
        vec![cluster.store(1, 50, &regression(1.0)).await, cluster.store(2, 50, &regression(2.0)).await];
    let revision = cluster.deploy(&deployment(routes)).await;
    cluster.applied(&one, revision).await;
    cluster.applied(&two, revision).await;
    let mut versions: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for request in 0..400 {
        let user = request % 20;
        let payload = format!(r#"{{"parameters":{{"sticky_key":"user-{user}"}},"instances":[[1,2]]}}"#);
        let reply = cluster.predict(&payload).await.unwrap();
        versions.entry(user).or_default().insert(reply["model_version"].to_string());
    }
    assert!(versions.values().all(|versions| versions.len() == 1), "{versions:?}");
    assert_eq!(versions.values().flatten().collect::<BTreeSet<_>>().len(), 2, "both versions have users");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_workers_with_the_labels_serve_a_model() {
    let cluster = Cluster::start().await;
    let labels = BTreeMap::from([("pool".to_owned(), "small".to_owned())]);
    let quick = || Settings { load_timeout_ms: 1000, ..quick() };
    let dedicated = cluster.worker("w1", Settings { labels: labels.clone(), ..quick() }).await;
    let other = cluster.worker("w2", quick()).await;
    let mut deployment = deployment(vec![cluster.store(1, 100, &regression(1.0)).await]);
    deployment.selector = labels.clone();
    let revision = cluster.deploy(&deployment).await;
    let lease = cluster.applied(&dedicated, revision).await;
    assert_eq!((lease.labels, lease.loaded.len()), (labels, 1));
    assert!(cluster.predict(r#"{"instances":[[1,2]]}"#).await.is_ok());
    deployment.selector = BTreeMap::new();
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&other, revision).await;
    // Nobody is like that, for which they do not wait for ever.
    deployment.selector = BTreeMap::from([("pool".to_owned(), "large".to_owned())]);
    cluster.deploy(&deployment).await;
    for worker in [&dedicated, &other] {
        cluster.lease_when(worker, |lease| lease.loaded.is_empty()).await;
    }
    let nobody = cluster.predict(r#"{"instances":[[1,2]]}"#).await;
    assert!(matches!(nobody, Err(Error::NoResponders { .. })), "{nobody:?}");
    dedicated.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_answered_while_it_moves_from_some_workers_to_others() {
    let cluster = Cluster::start().await;
    let pool = |name: &str| BTreeMap::from([("pool".to_owned(), name.to_owned())]);
    let small = cluster.worker("w1", Settings { labels: pool("small"), ..quick() }).await;
    let large = cluster.worker("w2", Settings { labels: pool("large"), ..quick() }).await;
    // Loading it takes a while.
    let mut deployment = deployment(vec![cluster.store(1, 100, &slow(1000, 4)).await]);
    deployment.selector = pool("small");
    let revision = cluster.deploy(&deployment).await;
    cluster.applied(&small, revision).await;
    let request = json!({ "instances": [vec![1.0; 1000]] }).to_string();
    for (to, from, name) in [(&large, &small, "large"), (&small, &large, "small")] {
        deployment.selector = pool(name);
        let revision = cluster.deploy(&deployment).await;
        let moved = async {
            cluster.applied(to, revision).await;
            cluster.lease_when(from, |lease| lease.loaded.is_empty()).await;
        };
        let mut moved = std::pin::pin!(moved);
        let mut answered = 0;
        loop {
            tokio::select! {
                biased;
                () = &mut moved => break,
                reply = cluster.predict(&request) => drop(reply.expect("somebody answers")),
            }
            answered += 1;
        }
        assert!(answered > 0);
    }
    small.stop().await;
    large.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_beyond_the_memory_budget_give_way_and_come_back_when_asked_for() {
    let cluster = Cluster::start().await;
    let blobs: Vec<Vec<u8>> = [1.0, 2.0, 3.0].map(regression).to_vec();
    let bytes = leat_engine::compile(&leat_model::blob::read(&blobs[0]).unwrap()).unwrap().bytes();
    let budget = 2 * bytes + bytes / 2;
    let worker = cluster.worker("w1", Settings { memory_budget_bytes: Some(budget), ..quick() }).await;
    let names = ["one", "two", "three"];
    for (name, blob) in names.iter().zip(&blobs) {
        let mut deployment = deployment(vec![cluster.store(1, 100, blob).await]);
        deployment.model = name.parse().unwrap();
        let revision = cluster.deploy(&deployment).await;
        cluster
            .lease_when(&worker, |lease| lease.deployment_revisions.values().any(|one| *one == revision))
            .await;
    }
    for round in 0..5 {
        for (name, scale) in names.iter().zip([1.0, 2.0, 3.0]) {
            let subject = cluster.subjects.infer(&name.parse().unwrap());
            let asking =
                (0..8).map(|_| cluster.ask(subject.clone(), r#"{"instances":[[1,2]],"deadline_ms":15000}"#));
            for reply in futures_util::future::join_all(asking).await {
                let reply: Value = reply.unwrap().json().unwrap();
                assert_eq!(reply["predictions"][0][0], 5.0 * scale, "{name} in round {round}");
            }
        }
    }
    let stats: Value =
        cluster.ask("$SRV.STATS.leat-inference-worker".to_owned(), "").await.unwrap().json().unwrap();
    let here = stats["endpoints"].as_array().unwrap().iter();
    let here = here.filter(|endpoint| endpoint["data"]["versions"][0]["in_memory"] == true).count();
    assert_eq!(here, 2, "{stats}");
    let large = cluster.store(1, 100, &crate::models::slow(100, 4)).await;
    let mut too_large = deployment(vec![large]);
    too_large.model = "large".parse().unwrap();
    cluster.deploy(&too_large).await;
    let failed = |lease: &leat_contract::WorkerLease| {
        let error = lease.loaded.iter().find_map(|loaded| loaded.error.as_ref());
        error.is_some_and(|error| error.message.contains("memory budget"))
    };
    cluster.lease_when(&worker, failed).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_come_back_costs_the_others_nothing() {
    let cluster = Cluster::start().await;
    let blobs: Vec<Vec<u8>> = [1.0, 2.0].map(regression).to_vec();
    let bytes = leat_engine::compile(&leat_model::blob::read(&blobs[0]).unwrap()).unwrap().bytes();
    let settings = Settings { memory_budget_bytes: Some(bytes + bytes / 2), ..quick() };
    let worker = cluster.worker("w1", settings).await;
    let routes = vec![cluster.store(1, 50, &blobs[0]).await, cluster.store(2, 50, &blobs[1]).await];
    let gone = routes[0].digest.clone();
    let revision = cluster.deploy(&deployment(routes)).await;
    cluster.applied(&worker, revision).await;
    let body = r#"{"instances":[[1,2]],"deadline_ms":15000}"#;
    // Both have been in memory; only the second one fits beside nobody.
    cluster.ask(cluster.pinned(2), body).await.unwrap();
    cluster.storage.objects(AssetRole::Models).delete(gone.as_str()).await.unwrap();
    let asking = (0..40).map(|request| cluster.ask(cluster.pinned(1 + request % 2), body));
    let replies = futures_util::future::join_all(asking).await;
    for (request, reply) in replies.into_iter().enumerate() {
        match (request % 2, reply) {
            (1, Ok(reply)) => assert_eq!(reply.json::<Value>().unwrap()["predictions"][0][0], 10.0),
            (0, Err(Error::Service(detail))) => {
                assert_eq!(detail.error_code(), ErrorCode::Unavailable, "{detail}");
                assert!(detail.message.contains("tiny@1 cannot be loaded"), "{detail}");
            }
            (_, other) => panic!("request {request}: {other:?}"),
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_answer_one_after_the_other_and_by_vote() {
    use leat_contract::{Pipeline, PipelineMember, PipelineMode};
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    // One gives the mean of two values twice, the other the classes of two values.
    let (means, classes) = (crate::models::slow(2, 2), classifier());
    let member = |route: &leat_contract::Route, model: &str| PipelineMember {
        model: model.parse().unwrap(),
        version: route.version,
        digest: route.digest.clone(),
    };
    let second = cluster.store(1, 0, &classes).await;
    let mut sequence = deployment(vec![cluster.store(1, 100, &means).await]);
    let members = vec![member(&second, "classes")];
    sequence.pipeline = Some(Pipeline { mode: PipelineMode::Sequence, members });
    let revision = cluster.deploy(&sequence).await;
    cluster.applied(&worker, revision).await;
    // Both classes are as likely, whatever goes in.
    let reply = cluster.predict(r#"{"instances":[[1,7]]}"#).await.unwrap();
    assert_eq!(reply["predictions"][0]["probabilities"], serde_json::json!([0.5, 0.5]), "{reply}");
    assert_eq!(reply["predictions"][0]["label"], "no");

    let mut vote = deployment(vec![cluster.store(2, 100, &classes).await]);
    let members = vec![member(&second, "classes"), member(&second, "classes")];
    vote.pipeline = Some(Pipeline { mode: PipelineMode::Vote, members });
    let revision = cluster.deploy(&vote).await;
    cluster.applied(&worker, revision).await;
    let reply = cluster.predict(r#"{"instances":[[1,7],[7,1]]}"#).await.unwrap();
    let labels: Vec<&Value> =
        reply["predictions"].as_array().unwrap().iter().map(|answer| &answer["label"]).collect();
    assert_eq!(labels, ["yes", "no"], "{reply}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_answer_together_inside_one_worker() {
    use leat_contract::{Pipeline, PipelineMember, PipelineMode};
    let cluster = Cluster::start().await;
    let worker = cluster.worker("w1", quick()).await;
    let other = cluster.store(1, 0, &regression(3.0)).await;
    let model = "other".parse().unwrap();
    let member = PipelineMember { model, version: other.version, digest: other.digest };
    let mut deployment = deployment(vec![cluster.store(1, 100, &regression(1.0)).await]);
    deployment.cache = Some(leat_contract::Caching { bytes_max: 1 << 20 });
    for (pipeline, expected) in [
        (None, 5.0),
        (Some(Pipeline { mode: PipelineMode::Average, members: vec![member.clone()] }), 10.0),
        (
            Some(Pipeline { mode: PipelineMode::Average, members: vec![member.clone(), member.clone()] }),
            35.0 / 3.0,
        ),
        (None, 5.0),
    ] {
        deployment.pipeline = pipeline;
        let revision = cluster.deploy(&deployment).await;
        cluster.applied(&worker, revision).await;
        for subject in [cluster.live(), cluster.pinned(1)] {
            let reply: Value =
                cluster.ask(subject, r#"{"instances":[[1,2]]}"#).await.unwrap().json().unwrap();
            let value = reply["predictions"][0][0].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-4, "{value} is not {expected}");
        }
    }
    deployment.pipeline = Some(Pipeline { mode: PipelineMode::Sequence, members: vec![member] });
    cluster.deploy(&deployment).await;
    let failed = |lease: &leat_contract::WorkerLease| {
        lease
            .loaded
            .iter()
            .any(|loaded| loaded.error.as_ref().is_some_and(|error| error.message.contains("gives 1")))
    };
    cluster.lease_when(&worker, failed).await;
    assert!(cluster.predict(r#"{"instances":[[1,2]]}"#).await.is_ok(), "what served before still serves");
    worker.stop().await;
}
