//! Jobs that are interrupted.

use leat_broker::Broker;
use leat_contract::{JobKind, JobSpec, JobState, JobStatus};
use leat_test_harness::{JobDesk, broker};
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

/// A job whose compressor vanishes on the way, as another one ends it. A machine may be fast enough to be done before
/// anybody vanishes, so jobs become longer until one is interrupted.
async fn interrupted_and_ended(broker: &Broker, desk: &JobDesk) -> (JobStatus, JobSpec) {
    for (jobs, epochs) in (1..).zip([300, 1_200, 4_800, 9_600]) {
        let spec = distil(epochs);
        let doomed_runtime = Runtime::new().unwrap();
        let doomed_broker = broker.url();
        let _doomed = doomed_runtime.spawn(async move { Running::compressor_on(&doomed_broker) });
        let id = desk.submit(spec.clone()).await;
        let is_begun = |status: &JobStatus| status.progress.is_some() || status.state.is_final();
        desk.status_when(&id, "the job makes progress", is_begun).await;
        // Nothing is said to the broker: the tasks are gone at their next await, and the compute thread notices.
        doomed_runtime.shutdown_background();

        let compressor = Running::compressor(broker);
        let status = desk.ended(&id).await;
        compressor.stop().await;
        assert_eq!(status.state, JobState::Succeeded, "{:?}", status.error);
        assert_eq!(
            desk.versions(&digits_model()).await.len(),
            1 + jobs,
            "one for each job, and their parent"
        );
        if status.attempt > 1 {
            return (status, spec);
        }
    }
    panic!("this machine ends every job before it can be interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_compressor_vanishes_is_done_once_by_another() {
    let broker = broker().await;
    let desk = desk_with_model(&broker).await;
    let (status, spec) = interrupted_and_ended(&broker, &desk).await;
    assert_eq!(status.attempt, 2);
    let digest = &status.result.as_ref().unwrap().digest;
    let compressor = Running::compressor(&broker);
    let uninterrupted = desk.submit(spec).await;
    let uninterrupted = desk.ended(&uninterrupted).await.result.unwrap();
    assert_eq!(*digest, uninterrupted.digest);
    compressor.stop().await;
}
