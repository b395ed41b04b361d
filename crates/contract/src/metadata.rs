//! What a model takes and gives, in the shape of the Open Inference Protocol V2.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Datatype, ModelName};

/// The reply to a metadata request, always JSON. The request has an empty payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelMetadata {
    /// The model.
    pub name: ModelName,
    /// The versions that can be asked, as text; of a request for one version only that one.
    pub versions: Vec<String>,
    /// The version that is described, as text: of the live route the one with the largest share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What runs it, for example `leat_native`.
    pub platform: String,
    /// The tensors that go in.
    pub inputs: Vec<TensorMetadata>,
    /// The tensors that come out.
    pub outputs: Vec<TensorMetadata>,
    /// The class labels in the order of the probabilities, or the names of the targets.
    pub labels: Vec<String>,
    /// The names of the feature columns, in order: what objects in `instances` must name.
    pub features: Vec<String>,
    /// A request that this model answers.
    pub example: Value,
}

/// The name, type and shape of one tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TensorMetadata {
    /// Its name in requests and replies.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// The length of each dimension, -1 where any length goes.
    pub shape: Vec<i64>,
}
