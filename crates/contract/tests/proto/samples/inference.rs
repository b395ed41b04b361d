use leat_contract::{
    Datatype, Encoding, ErrorBody, ErrorCode, ErrorDetail, InferReference, InferRequest, InferResponse,
    Instances, ModelMetadata, PredictionsResponse, ReplyForm, RequestBody, RequestedOutput, Scalar, Tensor,
    TensorData, TensorMetadata, encode,
};
use serde_json::{Value, json};

use super::{Sample, document, model, request_id, version};

pub(super) fn all() -> Vec<Sample> {
    vec![
        request("infer-request-tensors", tensors()),
        arrays(),
        request("infer-request-rows", rows()),
        request("infer-request-columns", columns()),
        request("infer-request-datatypes", datatypes()),
        document("infer-reference", "InferReference", InferReference::of(&urgent())),
        response("infer-response-classification", classification()),
        response("infer-response-regression", regression()),
        predictions("predictions-response-classification", classification()),
        predictions("predictions-response-regression", regression()),
        document("error-body", "ErrorBody", ErrorBody::from(not_found())),
        document("error-body-overloaded", "ErrorBody", ErrorBody::from(overloaded())),
        document("model-metadata", "ModelMetadata", metadata()),
        document("model-metadata-version", "ModelMetadata", metadata_of_version()),
    ]
}

fn request(name: &'static str, request: InferRequest) -> Sample {
    Sample {
        name,
        message: "InferRequest",
        json: request.encode(Encoding::Json).unwrap(),
        messagepack: request.encode(Encoding::MessagePack).unwrap(),
        holds_binary: matches!(request.body, RequestBody::Tensors { .. }),
        reads: Box::new(move |bytes| InferRequest::decode(bytes).is_ok_and(|(read, _)| read == request)),
    }
}

/// The same request as a producer without `bin` writes it: nested arrays in both encodings.
fn arrays() -> Sample {
    let value = json!({
        "id": "order-17",
        "inputs": [{ "data": [[5.5, 3.0], [6.25, 2.5]], "datatype": "FP32", "name": "input", "shape": [2, 2] }]
    });
    let mut request = tensors();
    request.deadline_ms = None;
    Sample {
        name: "infer-request-arrays",
        message: "InferRequest",
        json: encode(Encoding::Json, &value).unwrap(),
        messagepack: encode(Encoding::MessagePack, &value).unwrap(),
        holds_binary: false,
        reads: Box::new(move |bytes| InferRequest::decode(bytes).is_ok_and(|(read, _)| read == request)),
    }
}

fn tensors() -> InferRequest {
    let data = TensorData::Fp32(vec![5.5, 3.0, 6.25, 2.5]);
    let mut request = InferRequest::tensors(vec![Tensor::new("input", vec![2, 2], data).unwrap()]);
    request.id = Some(request_id());
    request.deadline_ms = Some(250);
    request
}

fn rows() -> InferRequest {
    let instances = Instances::rows_of(vec![2, 2], vec![5.5, 3.0, 6.25, 2.5]).unwrap();
    InferRequest { id: Some(request_id()), ..InferRequest::instances(instances) }
}

fn columns() -> InferRequest {
    let cells = vec![
        Some(Scalar::Integer(41)),
        Some(Scalar::Text("pro".to_owned())),
        Some(Scalar::Number(7.5)),
        None,
    ];
    InferRequest::instances(Instances::Table { columns: vec!["age".to_owned(), "plan".to_owned()], cells })
}

/// Every datatype, with options and chosen outputs.
fn datatypes() -> InferRequest {
    let data = [
        TensorData::Bool(vec![true, false]),
        TensorData::Uint8(vec![0, u8::MAX]),
        TensorData::Uint16(vec![0, u16::MAX]),
        TensorData::Uint32(vec![0, u32::MAX]),
        TensorData::Uint64(vec![0, u64::MAX]),
        TensorData::Int8(vec![i8::MIN, i8::MAX]),
        TensorData::Int16(vec![i16::MIN, i16::MAX]),
        TensorData::Int32(vec![i32::MIN, i32::MAX]),
        TensorData::Int64(vec![i64::MIN, i64::MAX]),
        TensorData::Fp32(vec![0.1, -1.5]),
        TensorData::Fp64(vec![0.1, -1.5]),
        TensorData::Bytes(vec!["a".to_owned(), "é".to_owned()]),
    ];
    let tensor =
        |data: TensorData| Tensor::new(data.datatype().as_str().to_lowercase(), vec![2, 1], data).unwrap();
    let mut request = InferRequest::tensors(data.into_iter().map(tensor).collect());
    request.parameters.insert("priority".to_owned(), Scalar::Integer(1));
    let output = RequestedOutput { name: "prediction".to_owned(), parameters: Default::default() };
    if let RequestBody::Tensors { outputs, .. } = &mut request.body {
        *outputs = Some(vec![output]);
    }
    request
}

/// With what a reference says beside the deadline, and what it leaves out.
fn urgent() -> InferRequest {
    let mut request = tensors();
    let given = [
        ("priority", Scalar::Integer(1)),
        ("sticky_key", Scalar::Text("user-7".to_owned())),
        ("note", Scalar::Text("for the record".to_owned())),
    ];
    request.parameters.extend(given.map(|(name, value)| (name.to_owned(), value)));
    request
}

fn response(name: &'static str, response: InferResponse) -> Sample {
    Sample {
        name,
        message: "InferResponse",
        json: response.encode(Encoding::Json, ReplyForm::Tensors).unwrap(),
        messagepack: response.encode(Encoding::MessagePack, ReplyForm::Tensors).unwrap(),
        holds_binary: true,
        reads: Box::new(move |bytes| InferResponse::decode(bytes).is_ok_and(|(read, _)| read == response)),
    }
}

fn predictions(name: &'static str, response: InferResponse) -> Sample {
    let json = response.encode(Encoding::Json, ReplyForm::Predictions).unwrap();
    let (expected, _) = PredictionsResponse::decode(&json).unwrap();
    Sample {
        name,
        message: "PredictionsResponse",
        messagepack: response.encode(Encoding::MessagePack, ReplyForm::Predictions).unwrap(),
        json,
        holds_binary: false,
        reads: Box::new(move |bytes| {
            PredictionsResponse::decode(bytes).is_ok_and(|(read, _)| read == expected)
        }),
    }
}

fn classification() -> InferResponse {
    let labels = TensorData::Bytes(vec!["7".to_owned(), "1".to_owned()]);
    InferResponse {
        id: Some(request_id()),
        model_name: model(),
        model_version: version(3),
        parameters: Default::default(),
        outputs: vec![
            Tensor::new("probabilities", vec![2, 2], TensorData::Fp32(vec![0.25, 0.75, 0.5, 0.5])).unwrap(),
            Tensor::new("label", vec![2], labels).unwrap(),
        ],
    }
}

fn regression() -> InferResponse {
    let outputs = vec![Tensor::new("prediction", vec![2, 1], TensorData::Fp32(vec![1.5, -2.0])).unwrap()];
    InferResponse { id: None, outputs, ..classification() }
}

fn not_found() -> ErrorDetail {
    ErrorDetail::new(ErrorCode::NotFound, "model digits has no version 9")
}

fn overloaded() -> ErrorDetail {
    ErrorDetail::new(ErrorCode::Overloaded, "the queue is full: 1024 requests wait").retry_after(20)
}

fn metadata_of_version() -> ModelMetadata {
    ModelMetadata { versions: vec!["3".to_owned()], version: Some("3".to_owned()), ..metadata() }
}

fn metadata() -> ModelMetadata {
    let tensor = |name: &str, datatype, shape: &[i64]| TensorMetadata {
        name: name.to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    let example: Value = json!({ "instances": [[5.5, 3.0]] });
    ModelMetadata {
        name: model(),
        versions: vec!["2".to_owned(), "3".to_owned()],
        version: None,
        platform: "leat_native".to_owned(),
        inputs: vec![tensor("input", Datatype::Fp32, &[-1, 2])],
        outputs: vec![
            tensor("probabilities", Datatype::Fp32, &[-1, 2]),
            tensor("label", Datatype::Bytes, &[-1]),
        ],
        labels: vec!["1".to_owned(), "7".to_owned()],
        features: vec!["width".to_owned(), "height".to_owned()],
        example,
    }
}
