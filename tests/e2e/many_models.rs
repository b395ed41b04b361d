//! Many small models on one worker.

use std::time::Duration;

use leat_contract::assets::AssetRole;
use leat_contract::{Deployment, ModelName, ModelVersion, Route, WorkerLease};
use leat_messaging::Watched;
use leat_model::{Activation, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, Tensor};
use serde_json::{Value, json};

use crate::process::{ids, resident};
use crate::town::Town;

const MODELS: usize = 200;
/// Loaded before anything is compared: the first models also bring what all share.
const FIRST: usize = 20;
const OVERHEAD_MAX: u64 = 1 << 20;
const LOADING_MAX: Duration = Duration::from_secs(60);

fn name(index: usize) -> ModelName {
    format!("small-{index}").parse().expect("a name")
}

/// One of those models: it gives its own number whatever it is asked.
fn model(index: usize) -> Model {
    let layer = |inputs: usize, outputs: usize, bias: f32| Dense {
        weights: Tensor::f32(vec![outputs, inputs], vec![0.0; inputs * outputs]),
        bias: vec![bias; outputs],
        activation: Activation::Identity,
        mask: None,
        input_quantization: None,
    };
    let features = (0..10).map(|feature| format!("x{feature}")).collect();
    Model {
        name: name(index).to_string(),
        task: Task::Regression,
        signature: Signature::of_network(Task::Regression, features, vec!["y".to_owned()]),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: vec![layer(10, 64, 0.0), layer(64, 1, index as f32)] }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    }
}

/// Deploys models and waits until the worker serves them all.
async fn deploy(town: &Town, models: std::ops::Range<usize>) {
    let all = models.end;
    for index in models {
        let blob = leat_model::blob::write(&model(index)).expect("a blob");
        let digest = town.storage.objects(AssetRole::Models).put(&blob).await.expect("stored");
        let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
        let desired = town.storage.key_value(AssetRole::Desired);
        let deployment = Deployment::new(name(index), vec![route]);
        desired.put(name(index).as_str(), &deployment).await.expect("deployed");
    }
    let leases = town.storage.key_value::<WorkerLease>(AssetRole::Actual);
    let mut watch = leases.watch().expect("leases");
    let serves_all = async {
        loop {
            if let Watched::Change(change) = watch.next().await.expect("a lease")
                && change.value.is_some_and(|lease| lease.deployment_revisions.len() == all)
            {
                return;
            }
        }
    };
    tokio::time::timeout(LOADING_MAX, serves_all).await.expect("all are served");
}

async fn ask(town: &Town, index: usize) -> f64 {
    let request =
        json!({ "inputs": [{ "name": "input", "shape": [1, 10], "datatype": "FP32", "data": vec![0; 10] }] });
    let subject = town.cluster.subjects().infer(&name(index));
    let answer = town.connection.request(subject, request.to_string(), LOADING_MAX).await.expect("an answer");
    let answer: Value = answer.json().expect("JSON");
    answer["outputs"][0]["data"][0].as_f64().unwrap_or_else(|| panic!("no prediction: {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_holds_two_hundred_small_models() {
    let town = Town::with_workers(1).await;
    let worker = ids(&town.cluster, &["worker-1"])[0].1;
    deploy(&town, 0..FIRST).await;
    let before = resident(worker);
    deploy(&town, FIRST..MODELS).await;
    for index in 0..MODELS {
        assert_eq!(ask(&town, index).await, index as f64);
    }
    let each = resident(worker).saturating_sub(before) / (MODELS - FIRST) as u64;
    assert!(each < OVERHEAD_MAX, "{each} bytes for each further model");
}
