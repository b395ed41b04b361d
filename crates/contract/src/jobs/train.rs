use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DatasetRef, Task, check, check_hidden};
use crate::limits::{self, check_limit};
use crate::{Error, ModelName};

/// Train a model on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// The model that gets a new version.
    pub model: ModelName,
    /// What to learn from: a CSV file with a header.
    pub dataset: DatasetRef,
    /// The column to predict.
    pub target: String,
    /// What kind of prediction it is; found from the target column when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Units of each hidden layer, from input to output.
    pub hidden: Vec<u32>,
    /// What is applied after each hidden layer.
    #[serde(default)]
    pub activation: Activation,
    /// What is minimised; by default `cross_entropy` for classification and `mse` for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// How it is minimised.
    #[serde(default)]
    pub optimiser: Optimiser,
    /// The step size, above 0.
    pub learning_rate: f64,
    /// For `sgd`: the share of the last step that is kept, from 0 to below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// For `adam_w`: the decoupled weight decay, 0 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Rows per step; null or absent for all rows at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Passes over the training rows, at most.
    pub epochs: u32,
    /// End before the last epoch when validation no longer improves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// The share of rows kept out of training to measure the model on, above 0 and below 1.
    pub held_out_ratio: f64,
    /// The seed of every random choice. The same job with the same seed gives the same bytes.
    pub seed: u64,
    /// Bring every feature to mean 0 and variance 1.
    #[serde(default = "yes")]
    pub standardise: bool,
    /// Regression: bring every target to mean 0 and variance 1 while training.
    #[serde(default = "yes")]
    pub standardise_target: bool,
    /// Keep every weight between minus and plus this after each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_clip: Option<f32>,
}

fn yes() -> bool {
    true
}

impl TrainSpec {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and the value, or [`Error::TooLarge`].
    pub fn validate(&self) -> Result<(), Error> {
        check("target", "the empty name", !self.target.is_empty(), "a column")?;
        check_hidden(&self.hidden)?;
        let rate = self.learning_rate;
        check("learning_rate", rate, rate.is_finite() && rate > 0.0, "a finite number above 0")?;
        if let Some(momentum) = self.momentum {
            check("momentum", momentum, (0.0..1.0).contains(&momentum), "from 0 to below 1")?;
        }
        if let Some(decay) = self.weight_decay {
            check("weight_decay", decay, decay.is_finite() && decay >= 0.0, "a finite number of 0 or more")?;
        }
        check("batch_size", 0, self.batch_size != Some(0), "1 or more")?;
        let batch_rows = self.batch_size.unwrap_or(1);
        check_limit("rows of one step of training", batch_rows.into(), limits::BATCH_ROWS_MAX.into())?;
        check("epochs", self.epochs, self.epochs >= 1, "1 or more")?;
        check_limit("epochs of a training job", self.epochs.into(), limits::TRAIN_EPOCHS_MAX.into())?;
        let held_out = self.held_out_ratio;
        check("held_out_ratio", held_out, held_out > 0.0 && held_out < 1.0, "above 0 and below 1")?;
        if let Some(clip) = self.weight_clip {
            check("weight_clip", clip, clip.is_finite() && clip > 0.0, "a finite number above 0")?;
        }
        self.early_stopping.as_ref().map_or(Ok(()), EarlyStopping::validate)
    }
}

/// An element-wise function after a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x · Φ(x)`.
    Gelu,
}

/// What training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Mean squared error.
    Mse,
    /// Cross-entropy of the softmax.
    CrossEntropy,
}

/// How training minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Stochastic gradient descent, with `momentum` when that is set.
    Sgd,
    /// Adam (Kingma & Ba, 2015).
    #[default]
    Adam,
    /// Adam with decoupled `weight_decay` (Loshchilov & Hutter, 2019).
    AdamW,
}

/// When to end before the last epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without improvement after which training ends, 1 or more.
    pub patience: u32,
    /// By how much the validation loss must fall to count as improvement, 0 or more.
    #[serde(default)]
    pub min_delta: f64,
    /// The share of the training rows used for validation, above 0 and below 1.
    pub validation_ratio: f64,
}

impl EarlyStopping {
    fn validate(&self) -> Result<(), Error> {
        let (delta, ratio) = (self.min_delta, self.validation_ratio);
        check("early_stopping.patience", self.patience, self.patience >= 1, "1 or more")?;
        check(
            "early_stopping.min_delta",
            delta,
            delta.is_finite() && delta >= 0.0,
            "a finite number of 0 or more",
        )?;
        check("early_stopping.validation_ratio", ratio, ratio > 0.0 && ratio < 1.0, "above 0 and below 1")
    }
}
