use serde_json::{Value, json};

use super::*;
use crate::{ModelName, ModelVersion, RequestId};

fn classifier() -> InferResponse {
    let labels = TensorData::Bytes(vec!["7".to_owned(), "1".to_owned()]);
    InferResponse {
        id: Some(RequestId::new("r-1").unwrap()),
        model_name: ModelName::new("digits").unwrap(),
        model_version: ModelVersion::new(3).unwrap(),
        parameters: Parameters::new(),
        outputs: vec![
            Tensor::new("probabilities", vec![2, 2], TensorData::Fp32(vec![0.25, 0.75, 0.5, 0.5])).unwrap(),
            Tensor::new("label", vec![2], labels).unwrap(),
        ],
    }
}

fn regression() -> InferResponse {
    let outputs = vec![Tensor::new("prediction", vec![2, 1], TensorData::Fp32(vec![1.5, -2.0])).unwrap()];
    InferResponse { id: None, outputs, ..classifier() }
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_tensor_reply_has_the_v2_shape_with_a_textual_version() {
    let reply = read(&classifier().encode(Encoding::Json, ReplyForm::Tensors).unwrap());
    let expected = json!({
        "id": "r-1", "model_name": "digits", "model_version": "3",
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 0.5, 0.5]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["7", "1"]}
        ]
    });
    assert_eq!(reply, expected);
}

#[test]
fn messagepack_replies_carry_numbers_as_bin() {
    let bytes = classifier().encode(Encoding::MessagePack, ReplyForm::Tensors).unwrap();
    let probabilities: Vec<u8> =
        [0.25_f32, 0.75, 0.5, 0.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let bin = [b"\xa4data\xc4\x10".as_slice(), &probabilities].concat();
    assert!(bytes.windows(bin.len()).any(|window| window == bin));
    assert_eq!(InferResponse::decode(&bytes).unwrap(), (classifier(), Encoding::MessagePack));
}

#[test]
fn several_outputs_give_objects_and_one_gives_values() {
    let several = read(&classifier().encode(Encoding::Json, ReplyForm::Predictions).unwrap());
    let expected = json!({
        "id": "r-1", "model_name": "digits", "model_version": "3",
        "predictions": [{"probabilities": [0.25, 0.75], "label": "7"}, {"probabilities": [0.5, 0.5], "label": "1"}]
    });
    assert_eq!(several, expected);
    let one = read(&regression().encode(Encoding::Json, ReplyForm::Predictions).unwrap());
    assert_eq!(one["predictions"], json!([[1.5], [-2.0]]));
}

#[test]
fn a_short_reply_in_messagepack_has_plain_arrays() {
    let bytes = classifier().encode(Encoding::MessagePack, ReplyForm::Predictions).unwrap();
    let (reply, encoding) = PredictionsResponse::decode(&bytes).unwrap();
    assert_eq!(encoding, Encoding::MessagePack);
    assert_eq!(reply.predictions[0], json!({"probabilities": [0.25, 0.75], "label": "7"}));
}

#[test]
fn deeper_outputs_keep_their_shape_in_predictions() {
    let output = Tensor::new("map", vec![1, 2, 2], TensorData::Int8(vec![1, 2, 3, 4])).unwrap();
    let reply = InferResponse { outputs: vec![output], ..classifier() };
    let reply = read(&reply.encode(Encoding::Json, ReplyForm::Predictions).unwrap());
    assert_eq!(reply["predictions"], json!([[[1, 2], [3, 4]]]));
}

#[test]
fn a_reply_that_contradicts_itself_is_not_sent() {
    let mut reply = classifier();
    reply.outputs[0].shape = vec![2, 3];
    assert!(reply.encode(Encoding::Json, ReplyForm::Tensors).is_err());
    let mut reply = classifier();
    reply.outputs[1] = Tensor::new("label", vec![1], TensorData::Bytes(vec!["7".to_owned()])).unwrap();
    let error = reply.encode(Encoding::Json, ReplyForm::Predictions).unwrap_err();
    assert!(error.to_string().contains("differ in their number of rows"));
}

#[test]
fn producers_ignore_fields_of_a_newer_worker() {
    let mut reply = read(&classifier().encode(Encoding::Json, ReplyForm::Tensors).unwrap());
    reply["served_by"] = json!({"worker": "w1"});
    reply["outputs"][0]["layout"] = json!(["row", {"major": true}]);
    let bytes = serde_json::to_vec(&reply).unwrap();
    assert_eq!(InferResponse::decode(&bytes).unwrap().0, classifier());
}
