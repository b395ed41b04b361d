//! Jobs that are interrupted.

use leat_contract::{JobKind, JobSpec, JobState};
use leat_test_harness::broker;
use tokio::runtime::Runtime;

use crate::running::{Running, desk_with_model, digits_model, job};

fn distil(epochs: u32) -> JobSpec {
    let steps = format!(
        r#"[{{"distil": {{"hidden": [16], "temperature": 3.0, "alpha": 0.9, "epochs": {epochs}}}}}]"#
    );
    job(1, &steps, "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_ends_when_somebody_asks_for_it() {
    let broker = broker().await;
    let desk = desk_with_model(&broker).await;
    let compressor = Running::compressor(&broker);
    let id = desk.submit(distil(10_000)).await;
    desk.status_when(&id, "the job makes progress", |status| status.progress.is_some()).await;
    desk.change(&id, |status| status.cancel_requested = true).await;
    let status = desk.ended(&id).await;
    assert_eq!((status.state, status.result), (JobState::Cancelled, None));
    assert_eq!(desk.versions(&digits_model()).await.len(), 1);
    desk.queue_is_empty(JobKind::Compress).await;
    compressor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_compressor_vanishes_is_done_once_by_another() {
    let broker = broker().await;
    let desk = desk_with_model(&broker).await;
    let doomed_runtime = Runtime::new().unwrap();
    let doomed_broker = broker.url();
    let _doomed = doomed_runtime.spawn(async move { Running::compressor_on(&doomed_broker) });
    let id = desk.submit(distil(300)).await;
    desk.status_when(&id, "the job makes progress", |status| status.progress.is_some()).await;
    // Nothing is said to the broker: the tasks are gone at their next await, and the compute thread notices.
    doomed_runtime.shutdown_background();

    let compressor = Running::compressor(&broker);
    let status = desk.ended(&id).await;
    assert_eq!((status.state, status.attempt), (JobState::Succeeded, 2), "{:?}", status.error);
    assert_eq!(desk.versions(&digits_model()).await.len(), 2);
    let uninterrupted = desk.submit(distil(300)).await;
    let uninterrupted = desk.ended(&uninterrupted).await.result.unwrap();
    assert_eq!(status.result.unwrap().digest, uninterrupted.digest);
    compressor.stop().await;
}
