use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{Parameters, Tensor, decoding, short_reply::Predictions};
use crate::{Encoding, Error, ModelName, ModelVersion, RequestId, codec, limits};

/// What an `f32` takes in JSON, about.
const JSON_NUMBER_BYTES: usize = 13;

/// Which form a reply has: that of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyForm {
    /// Tensors, as the Open Inference Protocol V2 has them.
    Tensors,
    /// `predictions`, one entry per row.
    Predictions,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct InferResponse {
    /// The id of the request, if it had one.
    pub id: Option<RequestId>,
    /// The model that answered.
    pub model_name: ModelName,
    /// The version that answered; text on the wire.
    pub model_version: ModelVersion,
    /// Options; empty for none.
    pub parameters: Parameters,
    /// What came out.
    pub outputs: Vec<Tensor>,
}

impl InferResponse {
    /// Writes the answer in the encoding and form of its request. In the tensor form of MessagePack numbers go as `bin`.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] when an output disagrees with its shape, [`Error::Unencodable`] when the
    /// outputs of a short reply differ in their rows.
    pub fn encode(&self, encoding: Encoding, form: ReplyForm) -> Result<Vec<u8>, Error> {
        self.outputs.iter().try_for_each(Tensor::validate)?;
        let bytes = Vec::with_capacity(self.usual_bytes(encoding));
        match form {
            ReplyForm::Tensors => codec::encode_into(bytes, encoding, &TensorReply(self)),
            ReplyForm::Predictions => codec::encode_into(bytes, encoding, &ShortReply(self)),
        }
    }

    /// About as many bytes as it takes.
    fn usual_bytes(&self, encoding: Encoding) -> usize {
        let element = match encoding {
            Encoding::Json => JSON_NUMBER_BYTES,
            Encoding::MessagePack => size_of::<f32>(),
        };
        let elements: usize = self.outputs.iter().map(|output| output.data.len()).sum();
        codec::USUAL_BYTES + elements * element
    }

    /// Reads an answer in tensor form, for a producer.
    ///
    /// # Errors
    /// As [`super::InferRequest::decode`].
    pub fn decode(payload: &[u8]) -> Result<(Self, Encoding), Error> {
        decoding::response(payload)
    }

    /// The output of a name.
    pub fn output(&self, name: &str) -> Option<&Tensor> {
        self.outputs.iter().find(|output| output.name == name)
    }
}

/// The answer in short form, as a producer reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictionsResponse {
    /// The id of the request, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// The model that answered.
    pub model_name: ModelName,
    /// The version that answered, as text.
    pub model_version: String,
    /// One entry per row: the value of the only output, or an object of all outputs by name.
    pub predictions: Vec<Value>,
}

impl PredictionsResponse {
    /// Reads an answer in short form, for a producer.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over [`limits::PAYLOAD_BYTES_MAX`], and any other [`Error`] for what is no such answer.
    pub fn decode(payload: &[u8]) -> Result<(Self, Encoding), Error> {
        codec::decode_seed(payload, limits::PAYLOAD_BYTES_MAX, PhantomData)
    }
}

struct TensorReply<'reply>(&'reply InferResponse);

impl Serialize for TensorReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_parameters = !self.0.parameters.is_empty();
        let mut map = serializer
            .serialize_map(Some(3 + usize::from(self.0.id.is_some()) + usize::from(has_parameters)))?;
        write_origin(self.0, &mut map)?;
        if has_parameters {
            map.serialize_entry("parameters", &self.0.parameters)?;
        }
        map.serialize_entry("outputs", &self.0.outputs)?;
        map.end()
    }
}

struct ShortReply<'reply>(&'reply InferResponse);

impl Serialize for ShortReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3 + usize::from(self.0.id.is_some())))?;
        write_origin(self.0, &mut map)?;
        map.serialize_entry("predictions", &Predictions(self.0))?;
        map.end()
    }
}

fn write_origin<M: SerializeMap>(reply: &InferResponse, map: &mut M) -> Result<(), M::Error> {
    if let Some(id) = &reply.id {
        map.serialize_entry("id", id)?;
    }
    map.serialize_entry("model_name", &reply.model_name)?;
    map.serialize_entry("model_version", &Text(reply.model_version))
}

/// The Open Inference Protocol has versions as text.
struct Text(ModelVersion);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
