mod decoding;
mod replies;
mod round_trip;
mod rows;

use super::*;
use crate::{Encoding, Error, ErrorCode, codec};

fn tensor(shape: &[usize], data: TensorData) -> Tensor {
    Tensor::new("input", shape.to_vec(), data).unwrap()
}

fn decode(payload: impl AsRef<[u8]>) -> Result<InferRequest, Error> {
    InferRequest::decode(payload.as_ref()).map(|(request, _)| request)
}

/// The inputs of a request that is good.
fn inputs(payload: impl AsRef<[u8]>) -> Vec<Tensor> {
    match decode(payload).unwrap().body {
        RequestBody::Tensors { inputs, .. } => inputs,
        RequestBody::Instances(_) => panic!("expected tensors"),
    }
}

/// A request in JSON with one tensor.
fn json(datatype: &str, shape: &str, data: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"input","datatype":"{datatype}","shape":{shape},"data":{data}}}]}}"#)
}

/// The same with the data before the datatype.
fn json_data_first(datatype: &str, shape: &str, data: &str) -> String {
    format!(r#"{{"inputs":[{{"data":{data},"datatype":"{datatype}","name":"input","shape":{shape}}}]}}"#)
}

/// A JSON document as MessagePack with the same arrays.
fn messagepack(json: &str) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    codec::encode(Encoding::MessagePack, &value).unwrap()
}

/// A request in MessagePack with one tensor whose data is `bin`.
fn binary(datatype: &str, shape: &[u64], bytes: &[u8]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Binary<'test> {
        name: &'test str,
        datatype: &'test str,
        shape: &'test [u64],
        #[serde(with = "serde_bytes")]
        data: &'test [u8],
    }
    let tensor = Binary { name: "input", datatype, shape, data: bytes };
    codec::encode(Encoding::MessagePack, &BTreeMap::from([("inputs", [tensor])])).unwrap()
}
