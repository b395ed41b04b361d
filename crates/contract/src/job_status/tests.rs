use super::*;
use crate::{CompressSpec, CompressStep, Quantize};

const ALL: [JobState; 5] =
    [JobState::Queued, JobState::Running, JobState::Succeeded, JobState::Failed, JobState::Cancelled];

fn status() -> JobStatus {
    let spec = CompressSpec {
        model: ModelName::new("digits").unwrap(),
        version: ModelVersion::FIRST,
        steps: vec![CompressStep::Quantize(Quantize::Q(127.0))],
        dataset: None,
        seed: 1,
    };
    JobStatus::queued(JobId::new("j1").unwrap(), JobSpec::Compress(spec), 1000)
}

#[test]
fn a_final_state_is_final() {
    for from in ALL.into_iter().filter(|state| state.is_final()) {
        assert!(ALL.into_iter().all(|to| !from.can_move_to(to)), "{from}");
    }
}

#[test]
fn a_job_succeeds_only_from_running() {
    assert!(!JobState::Queued.can_move_to(JobState::Succeeded));
    assert!(JobState::Running.can_move_to(JobState::Succeeded));
    assert!(JobState::Queued.can_move_to(JobState::Cancelled));
    assert!(JobState::Running.can_move_to(JobState::Queued));
}

#[test]
fn each_worker_that_takes_a_job_raises_its_epoch() {
    let mut status = status();
    status.take(WorkerId::new("w1").unwrap(), 2000).unwrap();
    assert_eq!((status.epoch, status.attempt, status.started_at), (1, 1, Some(2000)));
    status.take(WorkerId::new("w2").unwrap(), 3000).unwrap();
    assert_eq!((status.epoch, status.attempt, status.started_at), (2, 2, Some(2000)));
    assert_eq!(status.worker, Some(WorkerId::new("w2").unwrap()));
    status.move_to(JobState::Succeeded, 4000).unwrap();
    assert_eq!((status.finished_at, status.updated_at), (Some(4000), 4000));
    let error = status.take(WorkerId::new("w3").unwrap(), 5000).unwrap_err();
    assert_eq!(error.to_string(), "a job cannot move from succeeded to running");
    assert_eq!(status.epoch, 2);
}

#[test]
fn readers_ignore_fields_of_a_newer_writer() {
    let mut json = serde_json::to_value(status()).unwrap();
    json["estimated_end"] = 7.into();
    assert_eq!(serde_json::from_value::<JobStatus>(json).unwrap(), status());
}
