//! Jobs that are interrupted.

use leat_broker::Broker;
use leat_contract::{DatasetRef, JobEventKind, JobId, JobKind, JobSpec, JobState, JobStatus};
use leat_test_harness::{JobDesk, broker};

use crate::running::{Running, desk_with_digits, digits_model, job, long_job, settings};

/// Long enough to be interrupted, short enough to be waited for.
const EPOCHS: u32 = 250;

/// Waits until there is a state to go on from, or nothing left to do.
async fn checkpointed(desk: &JobDesk, id: &JobId) {
    let wanted = |status: &JobStatus| status.checkpoint.is_some() || status.state.is_final();
    desk.status_when(id, "a checkpoint is saved", wanted).await;
}

/// A job whose trainer vanishes after a checkpoint, as another one ends it. A machine may be fast enough to be done
/// before anybody vanishes, so jobs become longer until one is interrupted.
async fn interrupted_and_ended(broker: &Broker, desk: &JobDesk, digits: &DatasetRef) -> (JobStatus, JobSpec) {
    for (jobs, epochs) in (1..).zip([EPOCHS, 4 * EPOCHS, 16 * EPOCHS]) {
        let spec = job(digits, epochs, "");
        let doomed_runtime = tokio::runtime::Runtime::new().unwrap();
        let doomed_settings = settings(broker);
        let _doomed = doomed_runtime.spawn(async move { Running::start_with(doomed_settings) });
        let id = desk.submit(spec.clone()).await;
        checkpointed(desk, &id).await;
        // Nothing is said to the broker: the tasks are gone at their next await, and the compute thread notices.
        doomed_runtime.shutdown_background();

        let trainer = Running::start(broker);
        let status = desk.ended(&id).await;
        trainer.stop().await;
        assert_eq!(status.state, JobState::Succeeded, "{:?}", status.error);
        assert_eq!(desk.versions(&digits_model()).await.len(), jobs, "one for each job");
        if status.attempt > 1 {
            return (status, spec);
        }
    }
    panic!("this machine ends every job before it can be interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_trainer_vanishes_goes_on_from_its_checkpoint_elsewhere() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let (status, spec) = interrupted_and_ended(&broker, &desk, &digits).await;
    assert_eq!((status.epoch, status.attempt), (2, 2));
    let events = desk.events(&status.id).await;
    let retried = events.iter().find(|event| event.what == JobEventKind::Retried).unwrap();
    assert!(!retried.message.as_ref().unwrap().contains("position 0"), "{:?}", retried.message);

    let digest = &status.result.as_ref().unwrap().digest;
    let trainer = Running::start(&broker);
    let uninterrupted = desk.submit(spec).await;
    let uninterrupted = desk.ended(&uninterrupted).await.result.unwrap();
    assert_eq!(*digest, uninterrupted.digest);
    trainer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_stops_in_order_hands_its_job_over_at_once() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let first = Running::start(&broker);
    let id = desk.submit(long_job(&digits)).await;
    desk.status_when(&id, "the job makes progress", |status| status.progress.is_some()).await;
    first.stop().await;
    let handed_over = desk.status_when(&id, "the job is handed over", |_| true).await;
    assert_eq!((handed_over.state, handed_over.attempt), (JobState::Queued, 0));
    let position = handed_over.checkpoint.unwrap().position;

    let second = Running::start(&broker);
    let resumed = desk.status_when(&id, "the job is taken up", |status| status.epoch == 2).await;
    assert_eq!((resumed.state, resumed.attempt), (JobState::Running, 1));
    let further =
        |status: &JobStatus| status.progress.as_ref().is_some_and(|progress| progress.done > position);
    desk.status_when(&id, "the job goes on", further).await;
    desk.change(&id, |status| status.cancel_requested = true).await;
    desk.ended(&id).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_that_lost_its_job_registers_nothing() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let trainer = Running::start(&broker);
    let id = desk.submit(job(&digits, EPOCHS, "")).await;
    desk.status_when(&id, "the job is running", |status| status.state == JobState::Running).await;
    // What another trainer does that was given the job.
    desk.change(&id, |status| status.take("other".parse().unwrap(), JobDesk::now()).unwrap()).await;
    // The zombie leaves the message alone, so it comes again after the ack wait.
    let status = desk.status_when(&id, "the job is taken again", |status| status.epoch == 3).await;
    assert_eq!(status.reserved_version, None);
    assert!(desk.versions(&digits_model()).await.is_empty());
    assert_eq!(desk.ended(&id).await.state, JobState::Succeeded);
    assert_eq!(desk.versions(&digits_model()).await.len(), 1);
    desk.queue_is_empty(JobKind::Train).await;
    trainer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_a_restart_of_the_broker() {
    let mut broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let trainer = Running::start(&broker);
    // As above, until a job goes on after the restart.
    let mut goes_on = false;
    for (jobs, epochs) in (1..).zip([EPOCHS, 4 * EPOCHS, 16 * EPOCHS]) {
        let id = desk.submit(job(&digits, epochs, "")).await;
        checkpointed(&desk, &id).await;
        broker.kill().await;
        broker.restart().await.unwrap();
        let found = desk.status_when(&id, "the broker is back", |_| true).await;
        let status = desk.ended(&id).await;
        assert_eq!(status.state, JobState::Succeeded, "{:?}", status.error);
        assert_eq!(desk.versions(&digits_model()).await.len(), jobs);
        goes_on = !found.state.is_final();
        if goes_on {
            break;
        }
    }
    assert!(goes_on, "this machine ends every job before the broker is back");
    desk.queue_is_empty(JobKind::Train).await;
    trainer.stop().await;
}
