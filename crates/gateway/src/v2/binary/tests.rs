use leat_contract::{Datatype, RequestBody, TensorData, TensorMetadata};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn body(header: &Value, raw: &[u8]) -> (Vec<u8>, usize) {
    let mut body = header.to_string().into_bytes();
    let json_bytes = body.len();
    body.extend_from_slice(raw);
    (body, json_bytes)
}

fn read_body(header: &Value, raw: &[u8]) -> Result<Read, Refusal> {
    let (body, json_bytes) = body(header, raw);
    read(&body, json_bytes)
}

fn inputs(request: &InferRequest) -> &[Tensor] {
    match &request.body {
        RequestBody::Tensors { inputs, .. } => inputs,
        RequestBody::Instances(_) => &[],
    }
}

#[test]
fn binary_and_json_inputs_mix_in_any_order() {
    let header = json!({
        "id": "a",
        "parameters": { "binary_data_output": true, "priority": 1 },
        "inputs": [
            { "name": "raw", "datatype": "INT16", "shape": [1, 2], "parameters": { "binary_data_size": 4 } },
            { "name": "json", "datatype": "FP32", "shape": [1, 2], "data": [[1.5, 2]] },
            { "name": "text", "datatype": "BYTES", "shape": [1], "parameters": { "binary_data_size": 6 } },
        ],
        "outputs": [{ "name": "label", "parameters": { "binary_data": false } }, { "name": "probabilities" }],
    });
    let (request, binary) = read_body(&header, &[1, 0, 255, 255, 2, 0, 0, 0, b'h', b'i']).unwrap();
    let data: Vec<&TensorData> = inputs(&request).iter().map(|input| &input.data).collect();
    let expected = [
        &TensorData::Int16(vec![1, -1]),
        &TensorData::Fp32(vec![1.5, 2.0]),
        &TensorData::Bytes(vec!["hi".to_owned()]),
    ];
    assert_eq!(data, expected);
    assert!(binary.has("probabilities") && !binary.has("label"));
    assert_eq!(request.parameters.keys().collect::<Vec<_>>(), ["priority"]);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let of = |size: Value, raw: &[u8]| {
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [1, 1], "parameters": { "binary_data_size": size } });
        read_body(&json!({ "inputs": [input] }), raw)
    };
    assert!(of(json!(4), &[0; 4]).is_ok());
    for (size, raw) in
        [(json!(4), 3), (json!(4), 5), (json!(3), 3), (json!(-1), 4), (json!("4"), 4), (json!(1e30), 4)]
    {
        assert!(of(size.clone(), &vec![0; raw]).is_err(), "{size} of {raw}");
    }
    assert!(read(b"{}", 3).is_err() && read(b"{}", 2).is_err());
    let both = json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1], "data": [1], "parameters": { "binary_data_size": 4 } }] });
    assert!(read_body(&both, &[0; 4]).is_err());
}

#[test]
fn what_would_change_the_answer_and_is_not_there_is_refused() {
    let of = |option: &str| {
        let output = json!({ "name": "label", "parameters": { option: 3 } });
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [1], "data": [1] });
        read_body(&json!({ "inputs": [input], "outputs": [output] }), &[])
    };
    assert!(of("classification").unwrap_err().message.contains("classification"));
    assert!(of("shared_memory_region").is_err() && of("other").is_ok());
}

#[test]
fn a_raw_body_is_the_rows_of_the_only_input() {
    let input = TensorMetadata { name: "input".to_owned(), datatype: Datatype::Fp32, shape: vec![-1, 2] };
    let mut model = ModelMetadata {
        name: "tiny".parse().unwrap(),
        versions: vec!["1".to_owned()],
        version: None,
        platform: "leat_native".to_owned(),
        inputs: vec![input.clone()],
        outputs: Vec::new(),
        labels: Vec::new(),
        features: Vec::new(),
        example: Value::Null,
    };
    let (request, binary) = read_raw(&[0; 8], &model).unwrap();
    assert_eq!(inputs(&request)[0].shape, [1, 2]);
    assert!(binary.has("anything"));
    assert_eq!(inputs(&read_raw(&[0; 24], &model).unwrap().0)[0].shape, [3, 2]);
    assert!(read_raw(&[0; 7], &model).is_err() && read_raw(&[], &model).is_err());
    model.inputs.push(input);
    assert!(read_raw(&[0; 8], &model).is_err());
}

proptest! {
    #[test]
    fn any_body_and_length_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..96),
        json_bytes in 0_usize..128,
    ) {
        let _ = read(&bytes, json_bytes);
    }
}
