//! Jobs with a real broker and work that computes nothing: what happens around a computation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how the helpers of a test fail"
)]

mod toy;

use leat_contract::{AssetRole, JobEventKind, JobId, JobKind, JobState, JobStatus, Manifest, ModelVersion};
use leat_service_runtime::jobs::Limits;
use leat_test_harness::{JobDesk, broker, eventually};
use std::time::Duration;

use toy::{Running, SLOW, manifest, spec};

const LIMITS: Limits = Limits { checkpoint_every: Duration::from_secs(2), stall: Duration::from_secs(60) };

fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).unwrap()
}

/// A version that a job has registered, with its blob.
async fn registered(desk: &JobDesk, version: ModelVersion, job: &str) -> Manifest {
    let digest = desk.storage().objects(AssetRole::Models).put(b"the blob of a toy").await.unwrap();
    let ours = Manifest { digest, ..manifest(version, Some(job)) };
    desk.manifests.create(&Manifest::key(&ours.model, ours.version), &ours).await.unwrap();
    ours
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_version_whose_blob_was_removed_gets_it_again() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, LIMITS);
    let first = desk.ended(&desk.submit(spec("finish")).await).await.result.unwrap();
    let blobs = desk.storage().objects(AssetRole::Models);
    blobs.delete(first.digest.as_str()).await.unwrap();
    // As a worker leaves it that ended between the version and the last look at its blob.
    let ours = Manifest { digest: first.digest, ..manifest(version(2), Some("ours")) };
    desk.manifests.create(&Manifest::key(&ours.model, ours.version), &ours).await.unwrap();
    let mut status = JobStatus::queued("ours".parse().unwrap(), spec("finish"), JobDesk::now());
    status.take("gone".parse().unwrap(), JobDesk::now()).unwrap();
    status.reserved_version = Some(version(2));
    desk.statuses.create("ours", &status).await.unwrap();
    desk.submit_as(&status.id, spec("finish")).await;
    let ended = desk.ended(&status.id).await;
    assert_eq!(ended.result.unwrap().version, version(2), "{:?}", ended.error);
    assert!(blobs.exists(ours.digest.as_str()).await.unwrap());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_another_job_took_is_left_to_it() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    for number in [1, 2] {
        let other = manifest(version(number), Some("other"));
        desk.manifests.create(&Manifest::key(&other.model, other.version), &other).await.unwrap();
    }
    let mut reserved = JobStatus::queued("reserved".parse().unwrap(), spec("finish"), JobDesk::now());
    reserved.reserved_version = Some(version(1));
    desk.statuses.create("reserved", &reserved).await.unwrap();
    let service = Running::start(&broker, LIMITS);
    desk.submit_as(&reserved.id, spec("finish")).await;
    let status = desk.ended(&reserved.id).await;
    assert_eq!(status.result.unwrap().version, version(3), "{:?}", status.error);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_registered_before_its_worker_died_is_not_computed_again() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let ours = registered(&desk, version(1), "ours").await;
    let mut status = JobStatus::queued("ours".parse().unwrap(), spec("panic"), JobDesk::now());
    status.take("gone".parse().unwrap(), JobDesk::now()).unwrap();
    status.reserved_version = Some(version(1));
    desk.statuses.create("ours", &status).await.unwrap();
    let service = Running::start(&broker, LIMITS);
    desk.submit_as(&status.id, spec("panic")).await;
    let ended = desk.ended(&status.id).await;
    assert_eq!((ended.state, ended.result.unwrap().version), (JobState::Succeeded, version(1)));
    assert_eq!(desk.versions(&ours.model).await.len(), 1);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_panics_is_tried_three_times_and_becomes_a_dead_letter() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, LIMITS);
    let id = desk.submit(spec("panic")).await;
    let status = desk.ended(&id).await;
    assert_eq!((status.state, status.attempt), (JobState::Failed, 3));
    assert_eq!(status.error.unwrap().message, "the computation panicked: a toy that breaks");
    desk.queue_is_empty(JobKind::Train).await;
    assert_eq!(desk.dead_letters().await.len(), 1);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computation_without_a_sign_of_life_ends_the_service_and_leaves_the_job_to_another() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, Limits { stall: Duration::from_secs(1), ..LIMITS });
    let id: JobId = desk.submit(spec("stall")).await;
    let error = service.ended().await.unwrap_err().to_string();
    assert!(error.contains(&format!("job {id} showed no sign of life for 1s")), "{error}");
    let status = desk.statuses.get(id.as_str()).await.unwrap().unwrap().value;
    assert_eq!((status.state, status.attempt), (JobState::Running, 1));
    assert_eq!(desk.storage().job_queue(JobKind::Train).depth().await.unwrap().in_work, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_download_is_no_silence() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, Limits { stall: SLOW / 4, ..LIMITS });
    let id = desk.submit(spec("gather slowly")).await;
    let status = desk.ended(&id).await;
    assert_eq!((status.state, status.attempt), (JobState::Succeeded, 1), "{:?}", status.error);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_version_is_registered_has_succeeded_whatever_came_afterwards() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, LIMITS);
    for (number, id, is_queued) in [
        (1, "cancelled", false),
        (2, "worn-out", false),
        (3, "cancelled-queued", true),
        (4, "worn-out-queued", true),
    ] {
        registered(&desk, version(number), id).await;
        let mut status = JobStatus::queued(id.parse().unwrap(), spec("panic"), JobDesk::now());
        status.take("gone".parse().unwrap(), JobDesk::now()).unwrap();
        status.reserved_version = Some(version(number));
        if id.starts_with("cancelled") {
            status.cancel_requested = true;
        } else {
            status.attempt = 3;
        }
        if is_queued {
            status.move_to(JobState::Queued, JobDesk::now()).unwrap();
        }
        desk.statuses.create(id, &status).await.unwrap();
        desk.submit_as(&status.id, spec("panic")).await;
        let ended = desk.ended(&status.id).await;
        assert_eq!(ended.state, JobState::Succeeded, "{id}: {:?}", ended.error);
        assert_eq!(ended.result.unwrap().version, version(number));
    }
    desk.queue_is_empty(JobKind::Train).await;
    assert!(desk.dead_letters().await.is_empty());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_gets_no_number_leaves_no_blob() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let last = manifest(version(u32::MAX), Some("other"));
    desk.manifests.create(&Manifest::key(&last.model, last.version), &last).await.unwrap();
    let service = Running::start(&broker, LIMITS);
    let status = desk.ended(&desk.submit(spec("finish")).await).await;
    assert_eq!(status.state, JobState::Failed);
    assert!(desk.storage().objects(AssetRole::Models).list().await.unwrap().is_empty());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_once_a_second_at_most_and_the_last_is_written() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, LIMITS);
    let id = desk.submit(spec("tell")).await;
    let status = desk.ended(&id).await;
    service.stop().await.unwrap();
    let events = desk.events(&id).await;
    let told: Vec<_> = events.iter().filter(|event| event.what == JobEventKind::Progress).collect();
    assert!(!told.is_empty());
    for pair in told.windows(2) {
        assert!(pair[1].at - pair[0].at >= 1_000, "{told:?}");
    }
    let last = told.last().unwrap().progress.as_ref().unwrap();
    assert!(status.progress.unwrap().done >= last.done, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_job_counts_as_an_error() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let service = Running::start(&broker, LIMITS);
    desk.submit_bytes(JobKind::Train, "garbage", b"no job".to_vec()).await;
    eventually("the dead letter", || async { (desk.dead_letters().await.len() == 1).then_some(()) }).await;
    let stats = desk.micro_stats("leat-toy").await;
    let [endpoint] = &stats.endpoints[..] else { panic!("{stats:?}") };
    assert_eq!((endpoint.num_requests, endpoint.num_errors), (1, 1), "{endpoint:?}");
    assert_eq!(endpoint.queue_group, "");
    service.stop().await.unwrap();
}
