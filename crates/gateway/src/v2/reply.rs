//! The reply to a request whose outputs may be binary.

use leat_contract::{Encoding, InferResponse, Parameters, ReplyForm, Scalar};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::header::BinaryOutputs;
use crate::answer::Answer;
use crate::elements;
use crate::refusal::Refusal;

/// Writes a reply: all of it as JSON, or JSON with the binary outputs behind it.
///
/// # Errors
/// Only for a reply that contradicts itself.
pub(crate) fn write(response: InferResponse, binary: &BinaryOutputs) -> Result<Answer, Refusal> {
    if !response.outputs.iter().any(|output| binary.has(&output.name)) {
        return Ok(Answer::json(response.encode(Encoding::Json, ReplyForm::Tensors)?));
    }
    let mut raw = Vec::new();
    let mut sizes = Vec::with_capacity(response.outputs.len());
    for output in &response.outputs {
        let bytes = binary.has(&output.name).then(|| elements::to_raw(&output.data));
        sizes.push(bytes.as_ref().map(Vec::len));
        raw.extend(bytes.unwrap_or_default());
    }
    let header = Reply { response: &response, sizes: &sizes };
    let mut body = serde_json::to_vec(&header).map_err(|error| Refusal::internal(error.to_string()))?;
    let json_bytes = body.len();
    body.append(&mut raw);
    Ok(Answer::binary(json_bytes, body))
}

/// The JSON of a reply; an output that has a size stands behind it.
struct Reply<'reply> {
    response: &'reply InferResponse,
    sizes: &'reply [Option<usize>],
}

impl Serialize for Reply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model_name", &self.response.model_name)?;
        map.serialize_entry("model_version", &self.response.model_version.to_string())?;
        if let Some(id) = &self.response.id {
            map.serialize_entry("id", id)?;
        }
        if !self.response.parameters.is_empty() {
            map.serialize_entry("parameters", &self.response.parameters)?;
        }
        let outputs = self.response.outputs.iter().zip(self.sizes);
        let outputs: Vec<Output<'_>> = outputs.map(|(tensor, size)| Output { tensor, size: *size }).collect();
        map.serialize_entry("outputs", &outputs)?;
        map.end()
    }
}

struct Output<'reply> {
    tensor: &'reply leat_contract::Tensor,
    size: Option<usize>,
}

impl Serialize for Output<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(size) = self.size else { return self.tensor.serialize(serializer) };
        let size = Scalar::Integer(i64::try_from(size).unwrap_or(i64::MAX));
        let mut parameters: Parameters = self.tensor.parameters.clone();
        parameters.insert("binary_data_size".to_owned(), size);
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("name", &self.tensor.name)?;
        map.serialize_entry("datatype", &self.tensor.datatype())?;
        map.serialize_entry("shape", &self.tensor.shape)?;
        map.serialize_entry("parameters", &parameters)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use leat_contract::{ModelVersion, Tensor, TensorData};

    use super::*;
    use crate::answer::JSON_LENGTH;

    #[test]
    fn binary_outputs_stand_behind_the_json_in_their_order() {
        let tensor = |name: &str, data| Tensor::new(name, vec![1], data).unwrap();
        let response = InferResponse {
            id: Some("a".parse().unwrap()),
            model_name: "tiny".parse().unwrap(),
            model_version: ModelVersion::FIRST,
            parameters: Parameters::new(),
            outputs: vec![
                tensor("one", TensorData::Fp32(vec![1.0])),
                tensor("two", TensorData::Int64(vec![7])),
                tensor("three", TensorData::Bytes(vec!["no".to_owned()])),
            ],
        };
        let answer = write(response.clone(), &BinaryOutputs::all()).unwrap();
        let json_bytes: usize = answer.headers[JSON_LENGTH].to_str().unwrap().parse().unwrap();
        let (json, raw) = answer.bytes.split_at(json_bytes);
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 4);
        assert_eq!(json["outputs"][2]["parameters"]["binary_data_size"], 6);
        assert_eq!(json["outputs"][0].get("data"), None);
        assert_eq!(
            raw,
            [&1.0_f32.to_le_bytes()[..], &7_i64.to_le_bytes(), &[2, 0, 0, 0, b'n', b'o']].concat()
        );
        let answer = write(response, &BinaryOutputs::default()).unwrap();
        assert!(!answer.headers.contains_key(JSON_LENGTH));
    }
}
