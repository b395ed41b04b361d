//! Aliases while what they point at is not there yet, what is said of versions that differ, and models that are unloaded and loaded.

use leat_contract::AssetRole;
use leat_test_harness::eventually;
use serde_json::{Value, json};

use super::http::{get, post};
use super::town;

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_means_the_version_before_until_a_worker_has_the_new_one() {
    let (town, ports) = town().await;
    town.train_digits().await;
    let blobs = town.storage.objects(AssetRole::Models);
    let third = town.json(&["models", "show", "digits@3"]).await;
    let digest = third["digest"].as_str().expect("a digest");
    let blob = blobs.get(digest).await.expect("the blob");
    blobs.delete(digest).await.expect("deleted");
    town.json(&["promote", "digits@3", "--no-wait"]).await;
    let aliases = town.json(&["models", "show", "digits@production"]).await;
    assert_eq!(aliases["version"], 3, "the alias has moved: {aliases}");

    let rows = json!({ "instances": [vec![0.0; 64]] });
    let tensor = json!({ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.0; 64] });
    let version = async || {
        let answer =
            post(ports.http, "/v2/models/digits/versions/production/infer", &json!({ "inputs": [tensor] }))
                .await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["model_version"].clone()
    };
    for _ in 0..20 {
        assert_eq!(version().await, "1");
    }
    let predicted = post(ports.http, "/v1/models/digits/labels/production:predict", &rows).await;
    assert_eq!(predicted.status, 200, "{}", String::from_utf8_lossy(&predicted.body));
    for path in ["/v2/models/digits/versions/production", "/v2/models/digits/versions/production/ready"] {
        assert_eq!(get(ports.http, path).await.status, 200, "{path}");
    }
    // Who asks for it by its number is told how it is.
    let pinned = post(ports.http, "/v2/models/digits/versions/3/infer", &json!({ "inputs": [tensor] })).await;
    assert_eq!(pinned.status, 503, "{}", String::from_utf8_lossy(&pinned.body));

    blobs.put(&blob).await.expect("the blob is back");
    eventually("the alias means the new version", async || (version().await == "3").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_version_is_its_own() {
    let (town, ports) = town().await;
    // The same digits, of which one column has no name that the other model knows.
    let renamed = town.path("renamed.csv");
    let digits = std::fs::read_to_string(crate::town::digits_path()).expect("the data");
    let (header, rows) = digits.split_once('\n').expect("a header");
    let mut columns: Vec<&str> = header.split(',').collect();
    let last = columns.iter().position(|column| *column != "digit").expect("a feature");
    columns.remove(last);
    let rows = rows.lines().map(|row| {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells.remove(last);
        cells.join(",")
    });
    let text = std::iter::once(columns.join(",")).chain(rows).collect::<Vec<_>>().join("\n");
    std::fs::write(&renamed, text).expect("written");
    let data = renamed.to_str().expect("an ordinary path");
    town.json(&[
        "train", "--name", "digits", "--data", data, "--target", "digit", "--hidden", "16", "--epochs", "4",
    ])
    .await;
    town.route_without_traffic("digits@3").await;

    let said = async |path: &str| -> Value {
        let answer = get(ports.http, path).await;
        assert_eq!(answer.status, 200, "{path}");
        answer.json()
    };
    let shape = |model: &Value| model["inputs"][0]["shape"].clone();
    assert_eq!(shape(&said("/v2/models/digits").await), json!([-1, 64]));
    let third = said("/v2/models/digits/versions/3").await;
    assert_eq!((shape(&third), &third["versions"]), (json!([-1, 63]), &json!(["3"])));
    assert_eq!(said("/v2/models/digits/versions/3/config").await["input"][0]["dims"], json!([63]));
    let version = |model: &Value| model["model_spec"]["version"].clone();
    assert_eq!(version(&said("/v1/models/digits/metadata").await), "1");
    assert_eq!(version(&said("/v1/models/digits/versions/3/metadata").await), "3");
    for (path, width) in [("/v1/models/digits/versions/1", 64), ("/v1/models/digits/versions/3", 63)] {
        // Twice, of which the second is read by what was said before.
        for _ in 0..2 {
            let rows = json!({ "instances": [vec![0.0; width]] });
            let predicted = post(ports.http, &format!("{path}:predict"), &rows).await;
            assert_eq!(predicted.status, 200, "{}", String::from_utf8_lossy(&predicted.body));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_was_unloaded_is_loaded_as_it_was() {
    let (town, ports) = town().await;
    town.json(&["deploy", "digits@1", "--max-batch", "16", "--max-delay-us", "300", "--queue-max", "77"])
        .await;
    town.json(&["deploy", "digits@2", "--weight", "10"]).await;
    let control = async |what: &str| {
        let path = format!("/v2/repository/models/digits/{what}");
        let answer = post(ports.http, &path, &json!({})).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    };
    control("unload").await;
    assert_eq!(get(ports.http, "/v2/models/digits").await.status, 404);
    control("load").await;
    let config = get(ports.http, "/v2/models/digits/config").await.json();
    assert_eq!(config["max_batch_size"], 16, "{config}");
    assert_eq!(config["dynamic_batching"]["max_queue_delay_microseconds"], 300, "{config}");
    let deployments = town.storage.key_value::<leat_contract::Deployment>(AssetRole::Desired);
    let deployment = deployments.get("digits").await.expect("asked").expect("deployed").value;
    assert_eq!(deployment.limits.queue_max, 77);
    let routes: Vec<_> = deployment.routes.iter().map(|route| (route.version.get(), route.weight)).collect();
    assert_eq!(routes, [(1, 90), (2, 10)], "the routes are those of before");
    // Once more changes nothing, and a version that is named gets everything.
    control("load").await;
    assert_eq!(deployments.get("digits").await.expect("asked").expect("deployed").value, deployment);
    let second = json!({ "parameters": { "version": "2" } });
    let answer = post(ports.http, "/v2/repository/models/digits/load", &second).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let deployment = deployments.get("digits").await.expect("asked").expect("deployed").value;
    assert_eq!(deployment.principal().map(|route| (route.version.get(), route.weight)), Some((2, 100)));
    // What was only tried does not come back, however large its share was.
    town.json(&["deploy", "digits@1", "--canary", "60"]).await;
    control("unload").await;
    control("load").await;
    let deployment = deployments.get("digits").await.expect("asked").expect("deployed").value;
    let routes: Vec<_> = deployment.routes.iter().map(|route| (route.version.get(), route.weight)).collect();
    assert_eq!((routes, deployment.canary), (vec![(2, 100)], None));
}
