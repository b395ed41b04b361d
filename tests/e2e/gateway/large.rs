//! Bodies and answers that no message of the broker can hold and that cannot be cut by rows.

use leat_contract::assets::AssetRole;
use leat_contract::{Deployment, ModelVersion, Route};
use leat_model::{
    Activation, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, Tensor, blob,
};
use leat_test_harness::eventually;
use serde_json::{Value, json};

use super::http::{post, send};
use super::town;
use crate::town::Town;

const MIB: usize = 1024 * 1024;
/// As many outputs as a model may have.
const OUTPUTS: usize = 65_536;

async fn no_object_is_left(town: &Town) {
    let objects = town.storage.objects(AssetRole::Payloads);
    let probe = async || objects.list().await.ok().filter(Vec::is_empty).map(drop);
    eventually("no object is left", probe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_row_over_the_limit_of_the_broker_is_answered_as_a_short_one_is() {
    let (town, ports) = town().await;
    // The same numbers with many zeros behind them.
    let row = |zeros: usize| vec![format!("0.5{}", "0".repeat(zeros)); 64].join(",");
    let instances = |zeros| format!("{{\"instances\":[[{}]]}}", row(zeros));
    let ask = async |body: String| {
        send(ports.http, "POST /v2/models/digits/infer", &[("x-request-id", "one")], body.as_bytes()).await
    };
    let (short, long) = (ask(instances(0)).await, ask(instances(20_000)).await);
    assert_eq!((short.status, long.status), (200, 200), "{}", String::from_utf8_lossy(&long.body));
    assert_eq!((long.json(), &long.json()["id"]), (short.json(), &json!("one")));

    // A row of tensors is small, but not what stands beside it.
    let tensors = |note: usize| {
        json!({
            "parameters": { "note": "x".repeat(note) },
            "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.5; 64] }],
        })
    };
    let path = "/v2/models/digits/infer";
    let short = post(ports.http, path, &tensors(1)).await;
    let long = post(ports.http, path, &tensors(2 * MIB)).await;
    assert_eq!((short.status, long.status), (200, 200), "{}", String::from_utf8_lossy(&long.body));
    assert_eq!(long.json()["outputs"], short.json()["outputs"]);
    no_object_is_left(&town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_the_limit_of_the_broker_comes_whole() {
    let (town, ports) = town().await;
    serve_wide(&town).await;
    let request = |rows: &[f32]| json!({ "instances": rows.iter().map(|value| [value]).collect::<Vec<_>>() });
    let path = "/v2/models/wide/infer";
    let one = eventually("the wide model answers", async || {
        Some(post(ports.http, path, &request(&[-1.0])).await).filter(|one| one.status == 200)
    })
    .await;
    let two = post(ports.http, path, &request(&[-1.0, -1.0])).await;
    assert_eq!(two.status, 200, "{}", String::from_utf8_lossy(&two.body[..two.body.len().min(500)]));
    assert!(one.body.len() < MIB && two.body.len() > MIB, "{} and {} bytes", one.body.len(), two.body.len());
    let predictions = |answer: Value| answer["predictions"].as_array().expect("rows").clone();
    let (one, two) = (predictions(one.json()), predictions(two.json()));
    assert!(two == [one.clone(), one].concat());
    no_object_is_left(&town).await;
}

/// Deploys a model with one feature and more outputs than two rows of a message have room for.
async fn serve_wide(town: &Town) {
    let layer = Dense {
        weights: Tensor::f32(
            vec![OUTPUTS, 1],
            (0..OUTPUTS).map(|output| 1e-3 / (output + 3) as f32).collect(),
        ),
        bias: vec![0.0; OUTPUTS],
        activation: Activation::Identity,
        mask: None,
        input_quantization: None,
    };
    let names = (0..OUTPUTS).map(|output| format!("o{output}")).collect();
    let model = Model {
        name: "wide".to_owned(),
        task: Task::Regression,
        signature: Signature::of_network(Task::Regression, vec!["x".to_owned()], names),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: vec![layer] }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    };
    let bytes = blob::write(&model).expect("a model");
    let digest = town.storage.objects(AssetRole::Models).put(&bytes).await.expect("stored");
    let version = ModelVersion::new(1).expect("a version");
    let name: leat_contract::ModelName = "wide".parse().expect("a name");
    let deployment = Deployment::new(name.clone(), vec![Route { version, digest, weight: 100 }]);
    let desired = town.storage.key_value::<Deployment>(AssetRole::Desired);
    desired.put(name.as_str(), &deployment).await.expect("deployed");
}
