//! What a job that succeeds leaves behind.

use leat_contract::{AssetRole, JobEventKind, JobKind, JobState};
use leat_model::blob;
use leat_test_harness::{broker, eventually};

use crate::running::{Running, desk_with_digits, digits_model, job};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_job_twice_gives_two_versions_of_the_same_bytes() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let trainer = Running::start(&broker);

    let first = desk.submit(job(&digits, 5, "")).await;
    let status = desk.ended(&first).await;
    assert_eq!(status.state, JobState::Succeeded, "{:?}", status.error);
    assert_eq!((status.epoch, status.attempt), (1, 1));

    let versions = desk.versions(&digits_model()).await;
    let [version] = versions.as_slice() else { panic!("{} versions", versions.len()) };
    assert_eq!(version.job.as_ref(), Some(&first));
    assert!(version.metrics["accuracy"] > 0.85, "{:?}", version.metrics);
    assert_eq!((version.version.get(), version.encoding.as_str(), version.features.len()), (1, "f32", 64));
    assert_eq!(version.labels.len(), 10);
    assert_eq!(version.parameters, 64 * 32 + 32 + 32 * 10 + 10);
    assert_eq!(version.training.as_ref().unwrap()["epochs"], 5);
    assert_eq!((version.target.as_deref(), version.dataset.as_ref()), (Some("digit"), Some(&digits)));
    assert!(version.latency.as_ref().unwrap().p50_us > 0.0);
    let bytes = desk.storage().objects(AssetRole::Models).get(version.digest.as_str()).await.unwrap();
    assert_eq!(version.bytes, bytes.len() as u64);
    let model = blob::read(&bytes).unwrap();
    assert!(model.lineage.recipe.contains(r#""held_out_ratio":0.2"#), "{}", model.lineage.recipe);
    assert_eq!((model.lineage.seed, model.lineage.data.unwrap().to_string()), (7, digits.digest.to_string()));
    let events: Vec<JobEventKind> = desk.events(&first).await.iter().map(|event| event.what).collect();
    assert_eq!(
        (events.first(), events.last()),
        (Some(&JobEventKind::Started), Some(&JobEventKind::Succeeded))
    );

    let second = desk.submit(job(&digits, 5, "")).await;
    let again = desk.ended(&second).await.result.unwrap();
    assert_eq!((again.version.get(), &again.digest), (2, &version.digest));
    desk.queue_is_empty(JobKind::Train).await;
    assert!(desk.storage().objects(AssetRole::Checkpoints).list().await.unwrap().is_empty());
    let failed = desk.submit(job(&digits, 0, "")).await;
    desk.ended(&failed).await;
    desk.queue_is_empty(JobKind::Train).await;
    let stats = eventually("every job is counted", async || {
        let stats = desk.micro_stats("leat-trainer").await;
        (stats.endpoints[0].num_requests == 3).then_some(stats)
    });
    let endpoint = &stats.await.endpoints[0];
    assert_eq!((endpoint.name.as_str(), endpoint.subject.as_str()), ("train", "leat.v1.job.train"));
    assert_eq!((endpoint.num_errors, endpoint.last_error.contains("epochs")), (1, true));
    trainer.stop().await;
}
