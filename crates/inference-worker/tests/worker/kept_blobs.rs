//! Models that a worker keeps as files.

use std::path::Path;

use leat_contract::assets::AssetRole;
use leat_inference_worker::Settings;
use leat_test_harness::eventually;
use serde_json::Value;

use crate::cluster::{Cluster, deployment, quick};
use crate::models::regression;

const BODY: &str = r#"{"instances":[[1,2]],"deadline_ms":15000}"#;

fn keeping(folder: &Path) -> Settings {
    Settings { blob_cache_folder: Some(folder.join("blobs")), ..quick() }
}

/// Waits until a blob is in the folder: it is put there when the model answers already.
async fn kept(folder: &Path, digest: &leat_contract::Digest) -> std::path::PathBuf {
    let file = folder.join("blobs").join(digest.as_str());
    eventually("the blob is kept", || async { file.is_file().then(|| file.clone()) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_comes_back_without_the_store_and_after_a_restart() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let worker = cluster.worker("w1", keeping(folder.path())).await;
    let route = cluster.store(1, 100, &regression(2.0)).await;
    let digest = route.digest.clone();
    let revision = cluster.deploy(&deployment(vec![route])).await;
    cluster.applied(&worker, revision).await;
    kept(folder.path(), &digest).await;
    worker.stop().await;
    cluster.storage.objects(AssetRole::Models).delete(digest.as_str()).await.unwrap();
    let again = cluster.worker("w2", keeping(folder.path())).await;
    cluster.applied(&again, revision).await;
    assert_eq!(cluster.predict(BODY).await.unwrap()["predictions"][0][0], 10.0);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_fetched_again() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let route = cluster.store(1, 100, &regression(2.0)).await;
    let digest = route.digest.clone();
    let blobs = folder.path().join("blobs");
    std::fs::create_dir(&blobs).unwrap();
    let file = blobs.join(digest.as_str());
    std::fs::write(&file, regression(3.0)).unwrap();
    let worker = cluster.worker("w1", keeping(folder.path())).await;
    let revision = cluster.deploy(&deployment(vec![route])).await;
    cluster.applied(&worker, revision).await;
    assert_eq!(cluster.predict(BODY).await.unwrap()["predictions"][0][0], 10.0);
    let is_mended = || async { (std::fs::read(&file).ok()? == regression(2.0)).then_some(()) };
    eventually("the file is whole", is_mended).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_beyond_the_memory_budget_are_read_from_their_files() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let blobs = [1.0, 2.0].map(regression);
    let bytes = leat_engine::compile(&leat_model::blob::read(&blobs[0]).unwrap()).unwrap().bytes();
    let budget = Some(bytes + bytes / 2);
    let worker =
        cluster.worker("w1", Settings { memory_budget_bytes: budget, ..keeping(folder.path()) }).await;
    let routes = vec![cluster.store(1, 50, &blobs[0]).await, cluster.store(2, 50, &blobs[1]).await];
    let digests = [routes[0].digest.clone(), routes[1].digest.clone()];
    let revision = cluster.deploy(&deployment(routes)).await;
    cluster.applied(&worker, revision).await;
    for digest in &digests {
        kept(folder.path(), digest).await;
        cluster.storage.objects(AssetRole::Models).delete(digest.as_str()).await.unwrap();
    }
    for round in 0..4 {
        for (version, expected) in [(1, 5.0), (2, 10.0)] {
            let reply: Value = cluster.ask(cluster.pinned(version), BODY).await.unwrap().json().unwrap();
            assert_eq!(reply["predictions"][0][0], expected, "round {round}");
        }
    }
    worker.stop().await;
}
