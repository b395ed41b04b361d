//! Jobs that give no version.

use leat_contract::headers::DEAD_REASON;
use leat_contract::{ErrorCode, JobEventKind, JobKind, JobSpec, JobState, JobStatus};
use leat_test_harness::{JobDesk, broker};

use crate::running::{DIGITS, Running, desk_with_digits, digits_model, job, long_job, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_done_fails_with_the_reason_and_leaves_the_queue() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let ragged = desk.upload("ragged.csv", b"a,b\n1,2\n3\n").await;
    let words = desk.upload("words.csv", b"a,b\n1,2\nmany,2\n").await;
    let large = desk.upload("large.csv", &[DIGITS, DIGITS].concat()).await;
    let mut missing = digits.clone();
    missing.digest = format!("sha256-{}", "0".repeat(64)).parse().unwrap();
    let mut settings = settings(&broker);
    settings.service.dataset_bytes_max = DIGITS.len() as u64;
    let trainer = Running::start_with(settings);

    let with_target = |spec: JobSpec, target: &str| match spec {
        JobSpec::Train(spec) => {
            JobSpec::Train(leat_contract::TrainSpec { target: target.to_owned(), ..spec })
        }
        other => other,
    };
    let invalid = ErrorCode::InvalidArgument;
    let cases = [
        (job(&digits, 0, ""), invalid, "epochs: 0 is not 1 or more"),
        (job(&digits, 1, r#", "momentum": 0.9"#), invalid, "only the optimiser sgd"),
        (with_target(job(&digits, 1, ""), "colour"), invalid, "target \"colour\" is not a column"),
        (with_target(job(&ragged, 1, ""), "b"), invalid, "line 3: expected 2 cells, found 1"),
        (
            with_target(job(&words, 1, ""), "b"),
            invalid,
            "line 3: column \"a\": \"many\" is not a finite number",
        ),
        (job(&missing, 1, ""), ErrorCode::NotFound, "is not in the object store"),
        (job(&large, 1, ""), ErrorCode::TooLarge, "the limit is 26"),
        (job(&digits, 1, r#", "task": "regression", "loss": "cross_entropy""#), invalid, "needs classes"),
    ];
    for (spec, code, reason) in cases {
        let id = desk.submit(spec).await;
        let status = desk.ended(&id).await;
        let error = status.error.expect(reason);
        assert_eq!((status.state, error.code), (JobState::Failed, code.status()), "{error}");
        assert!(error.message.contains(reason), "{:?} does not say {reason:?}", error.message);
        desk.queue_is_empty(JobKind::Train).await;
        let events = desk.events(&id).await;
        let last = events.last().unwrap();
        assert_eq!((last.what, last.message.as_ref()), (JobEventKind::Failed, Some(&error.message)));
    }
    assert!(desk.dead_letters().await.is_empty(), "the documents say it all");
    assert!(desk.versions(&digits_model()).await.is_empty());
    trainer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_job_becomes_a_dead_letter_with_the_reason() {
    let broker = broker().await;
    let desk = JobDesk::open(&broker.url()).await;
    let trainer = Running::start(&broker);
    desk.submit_bytes(JobKind::Train, "poison", b"{\"job\": 7}".to_vec()).await;
    desk.queue_is_empty(JobKind::Train).await;
    let letters = desk.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload().as_ref(), b"{\"job\": 7}");
    assert!(
        letters[0].header(DEAD_REASON).unwrap().contains("undecodable"),
        "{:?}",
        letters[0].header(DEAD_REASON)
    );
    trainer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_begun_too_often_fails_and_becomes_a_dead_letter() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let (id, spec) = ("worn-out".parse().unwrap(), job(&digits, 1, ""));
    let mut status = JobStatus::queued(id, spec.clone(), JobDesk::now());
    for _ in 0..3 {
        status.take("gone".parse().unwrap(), JobDesk::now()).unwrap();
    }
    desk.statuses.create(status.id.as_str(), &status).await.unwrap();
    let trainer = Running::start(&broker);
    desk.submit_as(&status.id, spec).await;
    let failed = desk.ended(&status.id).await;
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(failed.error.unwrap().message, "its worker ended 3 times without finishing it");
    desk.queue_is_empty(JobKind::Train).await;
    assert_eq!(desk.dead_letters().await.len(), 1);
    trainer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_ends_when_somebody_asks_for_it() {
    let broker = broker().await;
    let (desk, digits) = desk_with_digits(&broker).await;
    let trainer = Running::start(&broker);
    let id = desk.submit(long_job(&digits)).await;
    desk.status_when(&id, "the job makes progress", |status| status.progress.is_some()).await;
    desk.change(&id, |status| status.cancel_requested = true).await;
    let status = desk.ended(&id).await;
    assert_eq!((status.state, status.result), (JobState::Cancelled, None));
    desk.queue_is_empty(JobKind::Train).await;

    let mut waiting = JobStatus::queued("early".parse().unwrap(), long_job(&digits), JobDesk::now());
    waiting.cancel_requested = true;
    desk.statuses.create("early", &waiting).await.unwrap();
    desk.submit_as(&waiting.id, long_job(&digits)).await;
    let status = desk.ended(&waiting.id).await;
    assert_eq!((status.state, status.attempt), (JobState::Cancelled, 0));
    desk.queue_is_empty(JobKind::Train).await;
    trainer.stop().await;
}
