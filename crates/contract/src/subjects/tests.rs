use proptest::prelude::*;

use super::*;
use crate::AliasName;

fn model() -> ModelName {
    ModelName::new("digits").unwrap()
}

#[test]
fn subjects_read_as_published() {
    let subjects = Subjects::default();
    let (worker, job) = (WorkerId::new("w1").unwrap(), JobId::new("j1").unwrap());
    assert_eq!(subjects.infer(&model()), "leat.v1.infer.digits");
    assert_eq!(subjects.infer_version(&model(), ModelVersion::new(3).unwrap()), "leat.v1.infer.digits.3");
    assert_eq!(subjects.metadata(&model()), "leat.v1.metadata.digits");
    assert_eq!(subjects.metadata_version(&model(), ModelVersion::FIRST), "leat.v1.metadata.digits.1");
    assert_eq!(subjects.label(&model()), "leat.v1.label.digits");
    assert_eq!(subjects.prediction(&model()), "leat.v1.prediction.digits");
    assert_eq!(subjects.job(JobKind::Compress), "leat.v1.job.compress");
    assert_eq!(subjects.job_event(&job, JobEventKind::Failed), "leat.v1.event.job.j1.failed");
    assert_eq!(subjects.control(&worker, ControlVerb::Drain), "leat.v1.control.w1.drain");
    assert_eq!(subjects.telemetry(&worker), "leat.v1.telemetry.w1");
    assert_eq!(subjects.monitor_window(&model()), "leat.v1.monitor.digits.window");
    assert_eq!(subjects.monitor_alert(&model()), "leat.v1.monitor.digits.alert");
    assert_eq!(subjects.dead_letter("LEAT_JOBS"), "leat.v1.dead.LEAT_JOBS");
}

#[test]
fn every_subject_parses_back() {
    let subjects = Subjects::new("blue").unwrap();
    let (worker, job) = (WorkerId::new("W-1").unwrap(), JobId::new("J_1").unwrap());
    let version = ModelVersion::new(12).unwrap();
    assert_eq!(subjects.parse_infer(&subjects.infer(&model())), Some((model(), None)));
    assert_eq!(
        subjects.parse_infer(&subjects.infer_version(&model(), version)),
        Some((model(), Some(version)))
    );
    assert_eq!(subjects.parse_metadata(&subjects.metadata(&model())), Some((model(), None)));
    let of_version = subjects.metadata_version(&model(), version);
    assert_eq!(subjects.parse_metadata(&of_version), Some((model(), Some(version))));
    assert_eq!(subjects.parse_async_infer(&subjects.async_infer(&model())), Some(model()));
    assert_eq!(subjects.parse_label(&subjects.label(&model())), Some(model()));
    assert_eq!(subjects.parse_prediction(&subjects.prediction(&model())), Some(model()));
    assert_eq!(subjects.parse_telemetry(&subjects.telemetry(&worker)), Some(worker.clone()));
    for kind in JobKind::ALL {
        assert_eq!(subjects.parse_job(&subjects.job(kind)), Some(kind));
    }
    for what in JobEventKind::ALL {
        let address = JobEventAddress { job: job.clone(), what };
        assert_eq!(subjects.parse_job_event(&subjects.job_event(&job, what)), Some(address));
    }
    for verb in ControlVerb::ALL {
        let address = ControlAddress { worker: worker.clone(), verb };
        assert_eq!(subjects.parse_control(&subjects.control(&worker, verb)), Some(address));
    }
    let window = subjects.parse_monitor(&subjects.monitor_window(&model()));
    assert_eq!(window, Some(MonitorAddress::Window(model())));
    let alert = subjects.parse_monitor(&subjects.monitor_alert(&model()));
    assert_eq!(alert, Some(MonitorAddress::Alert(model())));
    assert_eq!(subjects.parse_dead_letter(&subjects.dead_letter("BLUE_JOBS")), Some("BLUE_JOBS"));
}

#[test]
fn foreign_subjects_do_not_parse() {
    let subjects = Subjects::default();
    let foreign = [
        "",
        "leat.v1.infer",
        "leat.v1.infer.",
        "leat.v1.infer.digits.",
        "leat.v1.infer.digits.0",
        "leat.v1.infer.digits.03",
        "leat.v1.infer.digits.3.4",
        "leat.v1.infer.Digits",
        "leat.v1.infer.*",
        "leat.v2.infer.digits",
        "other.v1.infer.digits",
        "leat.v1.inferdigits",
    ];
    for subject in foreign {
        assert_eq!(subjects.parse_infer(subject), None, "{subject:?}");
    }
    assert_eq!(subjects.parse_job_event("leat.v1.event.job.j1"), None);
    assert_eq!(subjects.parse_job_event("leat.v1.event.job.j1.exploded"), None);
    assert_eq!(subjects.parse_control("leat.v1.control.w1.explode"), None);
    assert_eq!(subjects.parse_monitor("leat.v1.monitor.digits.window.x"), None);
    assert_eq!(subjects.parse_dead_letter("leat.v1.dead.a.b"), None);
}

#[test]
fn a_prefix_is_one_lower_case_token() {
    for bad in ["", "a.b", "A", "1a", "a b", "a*", "_a", &"a".repeat(33)] {
        assert!(Subjects::new(bad).is_err(), "{bad:?}");
    }
    assert!(Subjects::new("leat-test_1").is_ok());
}

#[test]
fn an_alias_is_never_taken_for_a_pinned_version() {
    let subject = format!("leat.v1.infer.digits.{}", AliasName::new("production").unwrap());
    assert_eq!(Subjects::default().parse_infer(&subject), None);
}

proptest! {
    #[test]
    fn the_result_of_any_request_has_one_subject(id in "[!-~]{1,128}") {
        let subjects = Subjects::default();
        let id = RequestId::new(id).unwrap();
        let subject = subjects.result(&id);
        prop_assert_eq!(subject.split('.').count(), 4);
        prop_assert!(!subject.contains(['*', '>']));
        prop_assert_eq!(subjects.parse_result(&subject), Some(id));
    }

    #[test]
    fn arbitrary_subjects_never_panic(subject in "\\PC{0,60}") {
        let subjects = Subjects::default();
        let result = format!("leat.v1.result.{subject}");
        if let Some(id) = subjects.parse_result(&result) {
            prop_assert_eq!(subjects.result(&id), result);
        }
        let infer = format!("leat.v1.infer.{subject}");
        let _ = subjects.parse_infer(&infer);
    }
}
