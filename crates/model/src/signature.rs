mod validation;

use serde::{Deserialize, Serialize};

use crate::Task;

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

impl Signature {
    /// The signature of a native network: input `input`, FP32 `[-1, features]`; outputs as the task says, `labels` being
    /// the classes or the names of the targets.
    pub fn of_network(task: Task, features: Vec<String>, labels: Vec<String>) -> Self {
        let batch_of = |name: &str, length: usize| TensorSpec {
            name: name.to_owned(),
            datatype: DataType::Fp32,
            shape: vec![-1, i64::try_from(length).unwrap_or(i64::MAX)],
        };
        let outputs = match task {
            Task::Regression => vec![batch_of("prediction", labels.len())],
            Task::Classification => vec![
                batch_of("probabilities", labels.len()),
                TensorSpec { name: "label".to_owned(), datatype: DataType::Bytes, shape: vec![-1] },
            ],
        };
        Self { inputs: vec![batch_of("input", features.len())], outputs, features, labels }
    }
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
