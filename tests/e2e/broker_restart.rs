//! The broker goes away and comes back under load.

use std::time::{Duration, Instant};

use leat_cli::Load;
use leat_contract::{AssetRole, Label, LabelValue, Scalar};

use crate::town::Town;

/// What is promised.
const RECOVERY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn everything_recovers_within_five_seconds_and_nothing_acknowledged_is_lost() {
    let mut town = Town::with_two_digits_versions(2).await;
    let labels = town.storage.event_log(AssetRole::Label);
    let subject = town.cluster.subjects().label(&"digits".parse().expect("a name"));
    for number in 0..100 {
        let request_id = format!("restart-{number}").parse().expect("an id");
        let label = Label { request_id, label: LabelValue::One(Scalar::Integer(number)), at: None };
        let payload = serde_json::to_vec(&label).expect("a label");
        labels.publish(subject.as_str(), None, payload).await.expect("the label is stored");
    }
    let load = Load::start(&town.connection, &town.load(64)).expect("load starts");
    let job = submit_long_job(&town).await;

    let broker = town.cluster.broker_mut().expect("a broker of our own");
    broker.kill().await;
    broker.restart().await.expect("the broker starts again");
    let back = Instant::now();
    let mut report = load.take_report();
    leat_test_harness::within(RECOVERY, "requests are answered again", || {
        let since = load.take_report();
        let is_answering = since.answered_total() > 0;
        report.append(&since).expect("reports of one load");
        std::future::ready(is_answering.then_some(()))
    })
    .await;
    let queued = submit_long_job(&town).await;
    let windows_since = now();
    let left = || RECOVERY.saturating_sub(back.elapsed());
    leat_test_harness::within(left(), "a job is running again", || async {
        let states = [state(&town, &job).await, state(&town, &queued).await];
        states.iter().any(|state| state == "running" || state == "succeeded").then_some(())
    })
    .await;
    leat_test_harness::within(left(), "the monitor sees what is answered", || async {
        let status = town.json(&["status"]).await;
        let end = status["windows"][0]["end"].as_u64()?;
        let requests = status["windows"][0]["versions"][0]["requests"].as_u64()?;
        (end > windows_since && requests > 0).then_some(())
    })
    .await;
    for job in [&job, &queued] {
        let state = leat_test_harness::eventually("the job ends", || final_state(&town, job)).await;
        assert_eq!(state, "succeeded", "job {job}");
    }
    assert_eq!(labels.messages().await.expect("the stream is there"), 100);
    report.append(&load.stop().await).expect("reports of one load");
    assert_eq!(report.failed_total(), 0, "{:?}", report.failed);
    let versions = town.json(&["models", "ls"]).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(4), "two versions before and one for each job");
}

/// A job that takes some seconds; gives its id.
async fn submit_long_job(town: &Town) -> String {
    let data = crate::town::digits_path();
    let data = data.to_str().expect("an ordinary path");
    let arguments = [
        "train", "--name", "digits", "--data", data, "--target", "digit", "--hidden", "64", "--epochs", "60",
        "--detach",
    ];
    let output = town.leat(&arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn state(town: &Town, job: &str) -> String {
    let status = town.json(&["jobs", "show", job]).await;
    status["state"].as_str().expect("a state").to_owned()
}

/// Unix milliseconds.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("before the year 500 million")
}

async fn final_state(town: &Town, job: &str) -> Option<String> {
    let state = state(town, job).await;
    (state != "running" && state != "queued").then_some(state)
}
