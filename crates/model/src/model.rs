mod validation;

use serde::{Deserialize, Serialize};

use crate::{
    CompressionReport, Lineage, Network, Preprocessing, ReferenceProfile, Signature, TrainingReport,
};

/// A model: everything that is needed to run it, to judge it and to know where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name it is registered under, `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// What it predicts.
    pub task: Task,
    /// The tensors that go in and come out, with the names of features and labels.
    pub signature: Signature,
    /// What happens to a raw row before the body sees it.
    pub preprocessing: Preprocessing,
    /// The computation itself.
    pub body: Body,
    /// Summary of the training features, against which live traffic is compared.
    pub profile: Option<ReferenceProfile>,
    /// How it was trained and how good it was on data it had not seen.
    pub training: Option<TrainingReport>,
    /// What each compression step did to it, oldest first.
    pub compression: Vec<CompressionReport>,
    /// Parent, data, recipe and seed.
    pub lineage: Lineage,
}

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One or more real numbers per row: output `prediction`, FP32 `[batch, targets]`.
    Regression,
    /// One class per row out of two or more: outputs `probabilities`, FP32 `[batch, classes]`, and `label`, BYTES `[batch]`.
    /// The body gives logits; the softmax over them belongs to the task.
    Classification,
}

/// The computation of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A network that Leat trains and runs by itself.
    Network(Network),
    /// A serialised ONNX graph.
    Onnx(Vec<u8>),
}
