use serde::{Deserialize, Serialize};

/// What goes into a model and what comes out, in the terms of the Open Inference Protocol V2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Native networks have one input: `input`, FP32 `[-1, features]`.
    pub inputs: Vec<TensorSpec>,
    /// See [`crate::Task`] for the outputs of each task.
    pub outputs: Vec<TensorSpec>,
    /// The names of the feature columns, in order.
    pub features: Vec<String>,
    /// Classification: the class labels in the order of the probabilities. Regression: the names of the targets.
    pub labels: Vec<String>,
}

/// The name, type and shape of one tensor; `-1` stands for the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The name used in requests and replies.
    pub name: String,
    /// The type of its elements.
    pub datatype: DataType,
    /// The length of each dimension, `-1` where any length goes.
    pub shape: Vec<i64>,
}

/// Element types by their Open Inference Protocol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataType {
    /// IEEE 754 binary32.
    Fp32,
    /// IEEE 754 binary64.
    Fp64,
    /// 64-bit signed integers.
    Int64,
    /// Text.
    Bytes,
}
