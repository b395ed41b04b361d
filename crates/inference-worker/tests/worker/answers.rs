//! The same numbers whatever the form of the request.

use leat_contract::{Encoding, InferRequest, InferResponse, Instances, Scalar, Tensor, TensorData, decode};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::models::{classifier, imputing, regression};

const EXPECTED: [f32; 2] = [5.0, 11.0];

fn tensor(data: TensorData) -> InferRequest {
    InferRequest::tensors(vec![Tensor::new("input", vec![2, 2], data).unwrap()])
}

async fn tensor_answer(cluster: &Cluster, payload: Vec<u8>, encoding: Encoding) -> Vec<f32> {
    let reply = cluster.ask(cluster.live(), payload).await.unwrap();
    let (response, found) = InferResponse::decode(reply.payload()).unwrap();
    assert_eq!((found, response.model_version.get()), (encoding, 1));
    assert_eq!(response.outputs[0].shape, [2, 1]);
    response.output("prediction").unwrap().data.clone().into_fp32().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_and_encoding_gives_the_same_numbers() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let json = r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[2,2],"data":[[1,2],[3,4]]}]}"#;
    assert_eq!(tensor_answer(&cluster, json.into(), Encoding::Json).await, EXPECTED);

    let bin = tensor(TensorData::Fp32(vec![1.0, 2.0, 3.0, 4.0])).encode(Encoding::MessagePack).unwrap();
    assert_eq!(tensor_answer(&cluster, bin, Encoding::MessagePack).await, EXPECTED);

    let arrays: Value = serde_json::from_str(json).unwrap();
    let arrays = leat_contract::encode(Encoding::MessagePack, &arrays).unwrap();
    assert_eq!(tensor_answer(&cluster, arrays, Encoding::MessagePack).await, EXPECTED);

    for data in [TensorData::Int64(vec![1, 2, 3, 4]), TensorData::Fp64(vec![1.0, 2.0, 3.0, 4.0])] {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let payload = tensor(data.clone()).encode(encoding).unwrap();
            assert_eq!(tensor_answer(&cluster, payload, encoding).await, EXPECTED);
        }
    }

    let expected = json!([[5.0], [11.0]]);
    let short = cluster.predict(r#"{"id":"r-1","instances":[[1,2],[3,4]]}"#).await.unwrap();
    assert_eq!(
        (&short["predictions"], &short["id"], &short["model_version"]),
        (&expected, &json!("r-1"), &json!("1"))
    );
    let named = cluster.predict(r#"{"instances":[{"a":1,"b":2},{"b":4,"a":3}]}"#).await.unwrap();
    assert_eq!(named["predictions"], expected);
    let cells = [2, 1, 4, 3].map(|number| Some(Scalar::Integer(number))).to_vec();
    let table = Instances::Table { columns: vec!["b".to_owned(), "a".to_owned()], cells };
    let table = InferRequest::instances(table).encode(Encoding::MessagePack).unwrap();
    let reply = cluster.ask(cluster.live(), table).await.unwrap();
    assert_eq!(decode::<Value>(reply.payload()).unwrap().0["predictions"], expected);

    assert_eq!(
        cluster.ask(cluster.pinned(1), r#"{"instances":[[1,2]]}"#).await.unwrap().json::<Value>().unwrap()["predictions"],
        json!([[5.0]])
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_gives_probabilities_and_the_label() {
    let (cluster, worker) = Cluster::serving(&classifier()).await;
    let reply = cluster.predict(r#"{"instances":[[0,0],[1,3]]}"#).await.unwrap();
    assert_eq!(reply["predictions"][0], json!({ "probabilities": [0.5, 0.5], "label": "no" }));
    assert_eq!(reply["predictions"][1]["label"], "yes");
    let only = r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[1,2],"data":[1,3]}],"outputs":[{"name":"label"}]}"#;
    let reply = cluster.predict(only).await.unwrap();
    assert_eq!(
        reply["outputs"],
        json!([{ "name": "label", "datatype": "BYTES", "shape": [1], "data": ["yes"] }])
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_imputes_answers_with_missing_values() {
    let (cluster, worker) = Cluster::serving(&imputing()).await;
    let reply = cluster.predict(r#"{"instances":[[1,null],[null,2]]}"#).await.unwrap();
    assert_eq!(reply["predictions"], json!([[41.0], [14.0]]));
    let reply = cluster.predict(r#"{"instances":[{"b":2}]}"#).await.unwrap();
    assert_eq!(reply["predictions"], json!([[14.0]]));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_says_what_to_send_and_its_example_is_answered() {
    let (cluster, worker) = Cluster::serving(&regression(1.0)).await;
    let subject = cluster.subjects.metadata(&crate::cluster::model());
    let metadata: Value = cluster.ask(subject, "").await.unwrap().json().unwrap();
    assert_eq!((&metadata["versions"], &metadata["features"]), (&json!(["1"]), &json!(["a", "b"])));
    let reply = cluster.predict(&metadata["example"].to_string()).await.unwrap();
    assert_eq!(reply["outputs"][0]["data"], json!([0.0]));

    let info: Value =
        cluster.ask("$SRV.INFO.leat-inference-worker".to_owned(), "").await.unwrap().json().unwrap();
    assert_eq!(info["endpoints"][0]["subject"], json!(cluster.live()));
    assert_eq!(info["endpoints"][0]["metadata"]["model"], "tiny");
    let stats = cluster.figures_of(1).await;
    assert_eq!(stats["endpoints"][0]["num_errors"], 0, "{stats}");
    assert_eq!(stats["endpoints"][0]["data"]["versions"][0]["version"], 1);
    worker.stop().await;
}
