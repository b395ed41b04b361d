use leat_contract::{ErrorCode, InferRequest, Tensor, TensorData};
use leat_model::Preprocessing;

use super::*;
use crate::loaded::tests::{loaded, tiny_classifier, tiny_regression, tiny_version};

fn rows(payload: &str, version: &LoadedVersion) -> Result<Vec<f32>, Error> {
    let (request, _) = InferRequest::decode(payload.as_bytes())?;
    let mut batch = vec![9.0];
    let outcome = append(request, version, 4, &mut batch);
    match &outcome {
        Ok(rows) => assert_eq!(batch.len(), 1 + rows * 2),
        Err(_) => assert_eq!(batch, [9.0], "a refused request leaves the batch alone"),
    }
    outcome.map(|_| batch.split_off(1))
}

fn refusal(payload: &str, version: &LoadedVersion) -> (ErrorCode, String) {
    let error = rows(payload, version).unwrap_err();
    (error.code(), error.to_string())
}

fn imputing() -> LoadedVersion {
    let mut model = tiny_regression(1.0);
    model.preprocessing = Preprocessing { impute: Some(vec![5.0, 6.0]), standardise: None };
    loaded(1, &model)
}

#[test]
fn every_form_of_a_request_gives_the_same_rows() {
    let version = tiny_version(1);
    for payload in [
        r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]}"#,
        r#"{"inputs":[{"name":"input","datatype":"FP64","shape":[2,2],"data":[[1,2],[3,4]]}]}"#,
        r#"{"inputs":[{"name":"input","datatype":"INT64","shape":[2,2],"data":[1,2,3,4]}]}"#,
        r#"{"instances":[[1,2],[3,4]]}"#,
        r#"{"instances":[{"b":2,"a":1},{"a":3,"b":4}]}"#,
    ] {
        assert_eq!(rows(payload, &version).unwrap(), [1.0, 2.0, 3.0, 4.0], "{payload}");
    }
}

#[test]
fn every_number_type_is_taken() {
    let version = tiny_version(1);
    for data in [
        TensorData::Bool(vec![true, false]),
        TensorData::Uint8(vec![1, 0]),
        TensorData::Uint16(vec![1, 0]),
        TensorData::Uint32(vec![1, 0]),
        TensorData::Uint64(vec![1, 0]),
        TensorData::Int8(vec![1, 0]),
        TensorData::Int16(vec![1, 0]),
        TensorData::Int32(vec![1, 0]),
        TensorData::Int64(vec![1, 0]),
        TensorData::Fp32(vec![1.0, 0.0]),
        TensorData::Fp64(vec![1.0, 0.0]),
    ] {
        let request = InferRequest::tensors(vec![Tensor::new("input", vec![1, 2], data.clone()).unwrap()]);
        let mut batch = Vec::new();
        append(request, &version, 4, &mut batch).unwrap();
        assert_eq!(batch, [1.0, 0.0], "{data:?}");
    }
}

#[test]
fn what_does_not_fit_the_signature_is_named() {
    let version = tiny_version(1);
    for (payload, named) in [
        (r#"{"inputs":[{"name":"pixels","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#, "pixels"),
        (r#"{"inputs":[{"name":"input","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}"#, "3"),
        (r#"{"inputs":[{"name":"input","datatype":"BYTES","shape":[1,2],"data":["1","2"]}]}"#, "BYTES"),
        (r#"{"instances":[[1,2,3]]}"#, "3"),
        (r#"{"instances":[{"a":1}]}"#, "\"b\""),
        (r#"{"instances":[{"a":1,"b":2,"c":3}]}"#, "\"c\""),
        (r#"{"instances":[{"a":1,"b":"two"}]}"#, "two"),
        (r#"{"instances":[[1,null]]}"#, "\"b\" of row 0"),
    ] {
        let (code, message) = refusal(payload, &version);
        assert_eq!(code, ErrorCode::InvalidArgument, "{payload}");
        assert!(message.contains(named), "{payload}: {message}");
    }
}

#[test]
fn a_model_that_imputes_takes_missing_values_and_columns_but_no_infinite_ones() {
    let version = imputing();
    let values = rows(r#"{"instances":[[1,null]]}"#, &version).unwrap();
    assert!(values[0] == 1.0 && values[1].is_nan());
    let values = rows(r#"{"instances":[{"b":1},{"b":2}]}"#, &version).unwrap();
    assert!(values[0].is_nan() && values[2].is_nan());
    assert_eq!((values[1], values[3]), (1.0, 2.0));
    let infinite = Tensor::new("input", vec![1, 2], TensorData::Fp32(vec![1.0, f32::INFINITY])).unwrap();
    let error = append(InferRequest::tensors(vec![infinite]), &version, 4, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "feature \"b\" of row 0 is infinite");
    assert!(rows(r#"{"instances":[{"b":1,"z":2}]}"#, &version).is_err());
}

#[test]
fn too_many_rows_say_the_limit() {
    let (code, message) = refusal(r#"{"instances":[[1,2],[1,2],[1,2],[1,2],[1,2]]}"#, &tiny_version(1));
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(message.contains("5 rows") && message.contains("limit is 4"), "{message}");
}

#[test]
fn outputs_are_chosen_by_name() {
    let version = loaded(1, &tiny_classifier());
    let input = r#""inputs":[{"name":"input","datatype":"FP32","shape":[1,2],"data":[1,2]}]"#;
    let choose = |outputs: &str| {
        let payload = format!(r#"{{{input},"outputs":{outputs}}}"#);
        selection(&InferRequest::decode(payload.as_bytes()).unwrap().0.body, &version)
    };
    assert_eq!(choose(r#"[{"name":"label"}]"#).unwrap(), Some(vec![1]));
    let error = choose(r#"[{"name":"logits"}]"#).unwrap_err();
    assert_eq!(error.to_string(), "the model has no output \"logits\", only probabilities, label");
}

#[test]
fn a_plain_request_gives_its_rows_when_there_is_nothing_to_say_against_them() {
    let values = |values: [f32; 2]| {
        let tensor = Tensor::new("input", vec![1, 2], TensorData::Fp32(values.to_vec())).unwrap();
        InferRequest::tensors(vec![tensor]).encode(leat_contract::Encoding::MessagePack).unwrap()
    };
    let rows = |payload: &[u8], version: &LoadedVersion| {
        let mut batch = vec![9.0];
        let rows = append_plain(&PlainRequest::read(payload).unwrap(), version, 4, &mut batch);
        (rows, batch.split_off(1))
    };
    assert_eq!(rows(&values([1.0, 2.0]), &tiny_version(1)), (Some(1), vec![1.0, 2.0]));
    let missing = values([f32::NAN, 2.0]);
    assert_eq!(rows(&missing, &tiny_version(1)), (None, vec![]));
    let (taken, batch) = rows(&missing, &imputing());
    assert!(taken == Some(1) && batch[0].is_nan() && batch[1] == 2.0, "{batch:?}");
    assert_eq!(rows(&values([f32::INFINITY, 2.0]), &imputing()), (None, vec![]));
}
