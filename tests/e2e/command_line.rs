//! The commands, one after the other, as a person would type them.

use leat_contract::headers::{DEAD_SUBJECT, DEAD_TRUNCATED};
use leat_contract::{AssetRole, Deployment, ModelName, ModelVersion, Route};
use leat_messaging::Headers;
use serde_json::Value;

use crate::town::{Town, digits_path, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_goes_from_data_to_labelled_predictions() {
    let town = Town::with_workers(1).await;
    let trained = town.train_digits().await;
    assert_eq!((&trained["model"], &trained["version"]), (&"digits".into(), &1.into()));
    assert!(trained["metrics"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.85), "{trained}");

    let steps = ["--prune", "0.5", "--fine-tune-epochs", "5", "--quantize", "int8"];
    let compressed = town.json(&[&["compress", "digits@1"], &steps[..]].concat()).await;
    assert_eq!((&compressed["version"], &compressed["parent"]), (&2.into(), &1.into()));
    assert!(compressed["bytes"].as_u64() < trained["bytes"].as_u64());
    assert_eq!(compressed["compression"].as_array().map(Vec::len), Some(2));
    assert!(compressed["latency"]["before"]["p50_us"].is_number());

    let shown = town.leat(&["models", "show", "digits@2"]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("prune l1_neurons fine_tune_epochs 5 rate 0.5"), "{shown}");
    assert!(shown.contains("nonzero") && shown.contains("accuracy 0."), "{shown}");

    let deployed = town.json(&["deploy", "digits@2"]).await;
    assert_eq!(deployed["routes"][0]["weight"], 100);
    let by_alias = town.json(&["models", "show", "digits@production"]).await;
    assert_eq!(by_alias["version"], 2);

    let rows = ten_rows(&town);
    let predictions = town.json(&["predict", "digits", "--csv", &rows, "--id-prefix", "first"]).await;
    assert_eq!(predictions.as_array().map(Vec::len), Some(10));
    assert_eq!(predictions[3]["id"], "first-3");
    assert_eq!(predictions[3]["version"], "2");
    assert!(predictions[3]["prediction"]["label"].is_string(), "{predictions}");

    let labelled =
        town.leat(&["label", "digits", "--csv", &rows, "--column", "digit", "--id-prefix", "first"]).await;
    assert!(labelled.status.success(), "{}", String::from_utf8_lossy(&labelled.stderr));
    let accuracy = leat_test_harness::eventually("ten labels are joined", || async {
        let status = town.json(&["status"]).await;
        let accuracy = &status["windows"][0]["versions"][0]["accuracy"];
        (accuracy["matched"] == 10).then(|| accuracy.clone())
    })
    .await;
    assert_eq!((&accuracy["predictions"], &accuracy["pending"]), (&10.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_tried_as_shadows_and_canaries_and_answer_together() {
    let town = Town::with_two_digits_versions(1).await;
    let shadowed = town.json(&["deploy", "digits@2", "--shadow", "0.5"]).await;
    assert_eq!((&shadowed["routes"][0]["version"], &shadowed["shadow"]["ratio"]), (&1.into(), &0.5.into()));
    let status = town.leat(&["status"]).await;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("digits@2 shadows 0.5"), "{status}");

    let lenient = ["--max-latency-increase", "100", "--max-error-increase", "1"];
    let trial = ["--canary", "40", "--promote-after", "0s", "--min-requests", "50"];
    let canary = town.json(&[&["deploy", "digits@2"], &trial[..], &lenient[..]].concat()).await;
    assert_eq!((&canary["canary"]["requests_min"], &canary["routes"][1]["weight"]), (&50.into(), &40.into()));
    assert!(canary["shadow"].is_null(), "a shadow that gets a route is none any more: {canary}");
    let load = leat_cli::Load::start(&town.connection, &town.load(4)).expect("load starts");
    let promoted = leat_test_harness::eventually("the canary is promoted", || async {
        let status = town.json(&["status"]).await;
        let deployment = status["deployments"][0].clone();
        (deployment["routes"][0]["weight"] == 100).then_some(deployment)
    })
    .await;
    assert_eq!((&promoted["routes"][0]["version"], promoted["canary"].is_null()), (&2.into(), true));
    assert_eq!(load.stop().await.failed_total(), 0);
    let event = town.leat(&["events", "--of", "rollouts", "--from-start", "--limit", "1"]).await;
    assert!(String::from_utf8_lossy(&event.stdout).contains("event.rollout.digits.promoted"));
    assert_eq!(town.json(&["models", "show", "digits@production"]).await["version"], 2);

    let together = town.json(&["deploy", "digits@1", "--average-with", "digits@2"]).await;
    assert_eq!(together["pipeline"]["members"][0]["version"], 2);
    let rows = ten_rows(&town);
    assert_eq!(town.json(&["predict", "digits", "--csv", &rows]).await.as_array().map(Vec::len), Some(10));
    assert!(town.json(&["deploy", "digits@1", "--then", "none"]).await["pipeline"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_why_a_version_cannot_be_loaded() {
    let town = Town::with_workers(1).await;
    let digest = town.storage.objects(AssetRole::Models).put(b"not a model").await.expect("stored");
    let model: ModelName = "broken".parse().expect("a name");
    let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
    let desired = town.storage.key_value(AssetRole::Desired);
    desired.put("broken", &Deployment::new(model, vec![route])).await.expect("deployed");
    let line = leat_test_harness::eventually("status names the version", || async {
        let status = town.leat(&["status"]).await;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        status.lines().find(|line| line.contains("cannot load broken@1: ")).map(str::to_owned)
    })
    .await;
    assert!(line.contains("worker-1 cannot load broken@1: the model cannot be read"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_can_be_handed_in_looked_up_later_and_sent_again_when_they_were_given_up() {
    let town = Town::with_workers(1).await;
    town.train_digits().await;
    let rows = ten_rows(&town);
    town.json(&["deploy", "digits@1", "--cache", "1048576", "--queue-wait-max-ms", "2000"]).await;
    let accepted = town.json(&["predict", "digits", "--csv", &rows, "--id-prefix", "night", "--async"]).await;
    assert_eq!(accepted["accepted"].as_array().map(Vec::len), Some(10));
    let answer = leat_test_harness::eventually("the last row is answered", || async {
        let output = town.leat(&["result", "night-9", "--output", "json"]).await;
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).expect("a document"))
    })
    .await;
    assert_eq!((&answer["id"], &answer["version"]), (&"night-9".into(), &"1".into()));
    assert!(answer["predictions"][0]["label"].is_string(), "{answer}");

    let subject = town.cluster.subjects().async_infer(&"digits".parse().expect("a name"));
    let queue = town.storage.async_queue(&"digits".parse().expect("a name"));
    queue.submit(subject, "digits/bad", r#"{"id":"bad","instances":[[1]]}"#).await.expect("it is accepted");
    let letters = async || town.json(&["dead", "ls"]).await;
    let letter =
        leat_test_harness::eventually("a dead letter", || async { letters().await.get(0).cloned() }).await;
    assert_eq!((&letter["id"], &letter["stream"]), (&"digits/bad".into(), &"LEAT_ASYNC".into()));
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("64 features")), "{letter}");
    let number = letter["number"].to_string();
    let replayed = town.json(&["dead", "replay", &number]).await;
    assert_eq!(replayed["replayed"][0].to_string(), number);
    leat_test_harness::eventually("it is given up once more", || async {
        let letters = letters().await;
        (letters.as_array().map(Vec::len) == Some(1) && letters[0]["number"] != letter["number"])
            .then_some(())
    })
    .await;
    assert_eq!(letters().await[0]["id"], "digits/bad", "it goes by the id that it had at first");

    let subject = town.cluster.subjects().async_infer(&"digits".parse().expect("a name"));
    queue.submit(subject, "digits/worse", "nonsense").await.expect("it is accepted");
    let numbers = async |count: usize| {
        leat_test_harness::eventually("every letter is there", || async {
            let letters = letters().await;
            let numbers = letters.as_array()?.iter().map(|letter| letter["number"].as_u64());
            numbers.collect::<Option<Vec<u64>>>().filter(|numbers| numbers.len() == count)
        })
        .await
    };
    let before = numbers(2).await;
    // A letter whose content was left out cannot be sent again, and keeps none of the others.
    let dead = town.storage.event_log(AssetRole::Dead);
    let headers = Headers::new().with(DEAD_TRUNCATED, "9").with(DEAD_SUBJECT, "nowhere");
    dead.resend(&town.cluster.subjects().dead_letter("LEAT_ASYNC"), headers, "").await.expect("kept");
    let replayed = town.leat(&["dead", "replay", "--all", "--output", "json"]).await;
    let said = String::from_utf8_lossy(&replayed.stderr);
    assert!(!replayed.status.success() && said.contains("without its content of 9 bytes"), "{said}");
    let sent: Value = serde_json::from_slice(&replayed.stdout).expect("a document");
    assert_eq!(sent, serde_json::json!({ "replayed": before }));
    let after = numbers(3).await;
    assert!(before.iter().all(|number| !after.contains(number)), "{before:?} {after:?}");
}

/// The first ten rows of the data set in a file of their own.
fn ten_rows(town: &Town) -> String {
    let text = std::fs::read_to_string(digits_path()).expect("the data set is there");
    let path = town.path("ten.csv");
    let ten: Vec<&str> = text.lines().take(11).collect();
    std::fs::write(&path, ten.join("\n")).expect("the file is written");
    path.to_str().expect("an ordinary path").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_the_exit_code_is_not_zero() {
    let town = Town::with_workers(1).await;
    town.train_digits().await;
    let csv = town.path("bad.csv");
    std::fs::write(&csv, "a,b\n1,2\n3,oops\n").expect("the file is written");
    let csv = csv.to_str().expect("an ordinary path");
    let cases: [(&[&str], &str); 9] = [
        (&["models", "show", "nothing"], "there is no model nothing"),
        (&["models", "show", "digits@7"], "digits has versions 1"),
        (&["deploy", "digits@7"], "digits has versions 1"),
        (&["rollback", "digits"], "deploy a version"),
        (&["compress", "digits@1"], "say what to do"),
        (&["predict", "digits", "--input", "[[1]]"], "nobody answers"),
        (&["train", "--name", "bad", "--data", csv, "--target", "c"], "c"),
        (&["train", "--name", "bad", "--data", csv, "--target", "a"], "oops"),
        (&["jobs", "show", "train-unknown"], "`leat jobs ls` lists them"),
    ];
    for (arguments, expected) in cases {
        let output = town.leat(arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "leat {arguments:?} succeeded");
        assert!(stderr.contains(expected), "leat {arguments:?}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_way_out_is_named() {
    let output = run("nats://127.0.0.1:1", &["models", "ls"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("leat up"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_leat_has_never_been_on_is_told_apart() {
    let broker = leat_test_harness::broker().await;
    let output = run(&broker.url(), &["models", "ls"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("no Leat service has run on") && stderr.contains("leat up"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_version_leaves_neither_blob_nor_alias_but_its_number_is_gone() {
    let town = Town::with_workers(1).await;
    let digest = town.train_digits().await["digest"].as_str().expect("a digest").to_owned();
    town.json(&["deploy", "digits@1"]).await;
    let refused = town.leat(&["models", "rm", "digits@1"]).await;
    assert!(!refused.status.success(), "a version that is deployed was removed");

    assert_eq!(town.json(&["models", "ls"]).await[0]["aliases"], serde_json::json!(["production"]));
    assert_eq!(town.json(&["undeploy", "digits"]).await["served"], false);
    assert_eq!(town.json(&["models", "rm", "digits@1"]).await["removed"], "digits@1");
    let blobs = town.storage.objects(AssetRole::Models);
    assert!(!blobs.exists(&digest).await.expect("the store answers"), "the blob is still there");
    assert!(!town.leat(&["models", "show", "digits@production"]).await.status.success());
    assert_eq!(town.train_digits().await["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_read_from_their_beginning() {
    let town = Town::with_workers(0).await;
    town.train_digits().await;
    let arguments = ["events", "--of", "jobs", "--from-start", "--limit", "1", "--output", "json"];
    let output = town.leat(&arguments).await;
    let first: Value = serde_json::from_slice(&output.stdout).expect("one event");
    assert_eq!(first["message"]["what"], "started");
    assert!(
        first["subject"].as_str().is_some_and(|subject| subject.starts_with("leat.v1.event.job.")),
        "{first}"
    );
}
