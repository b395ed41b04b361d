//! Jobs that lose their worker, are repeated, or are called off.

use leat_cli::ServiceKind;
use serde_json::Value;

use crate::town::{Town, digits_path};

async fn submit(town: &Town, name: &str, epochs: &str) -> String {
    let data = digits_path();
    let data = data.to_str().expect("an ordinary path");
    let arguments =
        ["train", "--name", name, "--data", data, "--target", "digit", "--epochs", epochs, "--detach"];
    let output = town.leat(&arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn status_when(town: &Town, job: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    leat_test_harness::eventually(what, || async {
        let status = town.json(&["jobs", "show", job]).await;
        is_it(&status).then_some(status)
    })
    .await
}

fn is_over(status: &Value) -> bool {
    !matches!(status["state"].as_str(), Some("queued" | "running"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_trainer_is_killed_resumes_on_another_and_makes_one_version() {
    let mut town = Town::with_workers(0).await;
    let job = submit(&town, "digits", "400").await;
    let checkpointed =
        status_when(&town, &job, "a checkpoint is taken", |status| status["checkpoint"].is_object()).await;
    assert_eq!(checkpointed["state"], "running");
    town.cluster.kill("trainer-1").await.expect("the trainer is there");
    town.cluster.start_service(ServiceKind::Trainer, "trainer-2").await.expect("another trainer starts");

    let ended = status_when(&town, &job, "the job ends", is_over).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["worker"], "trainer-2");
    assert_eq!(ended["attempt"], 2);
    let versions = town.json(&["models", "ls"]).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(1), "{versions}");
    assert_eq!(versions[0]["digest"], ended["result"]["digest"]);

    // The same job without interruption gives the same bytes.
    let again = submit(&town, "digits", "400").await;
    let again = status_when(&town, &again, "the job ends", is_over).await;
    assert_eq!(again["result"]["digest"], ended["result"]["digest"]);
    assert_eq!(again["result"]["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_called_off() {
    let town = Town::with_workers(0).await;
    let job = submit(&town, "digits", "100000").await;
    status_when(&town, &job, "the job runs", |status| status["state"] == "running").await;
    assert!(town.leat(&["jobs", "cancel", &job]).await.status.success());
    let ended = status_when(&town, &job, "the job ends", is_over).await;
    assert_eq!(ended["state"], "cancelled");
    let versions = town.json(&["models", "ls"]).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(0));
}
