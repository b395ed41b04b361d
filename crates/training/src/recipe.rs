use leat_model::{Activation, Task};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The share of rows that callers hold out by default.
pub const HELD_OUT_RATIO: f64 = 0.2;

const HIDDEN_LAYERS_MAX: usize = 16;
const HIDDEN_UNITS_MAX: usize = 16_384;
const EPOCHS_MAX: u32 = 1_000_000;
const BATCH_MAX: usize = 65_536;

/// Everything that decides how a network is trained on given rows. As JSON it is part of a model's lineage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The widths of the hidden layers, from input to output; empty for a linear model.
    pub hidden: Vec<usize>,
    /// What follows each hidden layer. The last layer is linear.
    pub activation: Activation,
    /// What is minimised.
    pub loss: Loss,
    /// How weights move.
    pub optimiser: Optimiser,
    /// The length of a step, above zero.
    pub learning_rate: f64,
    /// How many rows make one step.
    pub batch: BatchSize,
    /// The most passes over the rows.
    pub epochs: u32,
    /// When to end before the last epoch.
    pub early_stopping: Option<EarlyStopping>,
    /// The source of every random choice.
    pub seed: u64,
    /// Whether the model standardises its features by the statistics of the rows it was fitted on.
    pub standardise: bool,
    /// Whether regression targets are standardised during training; the finished network gives the original unit.
    pub standardise_target: bool,
    /// Weights (not biases) are clamped to `-w..=w` after every step. With `standardise_target` the bound holds in standardised units.
    pub weight_clip: Option<f32>,
}

/// What is minimised, as a mean over the rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The mean squared error over rows and outputs. For classes: between the softmax and the one-hot truth (Brier, 1950).
    Mse,
    /// The cross-entropy of the softmax; classes only.
    CrossEntropy,
}

/// How weights move. All formulas are those of PyTorch 2, with `beta = (0.9, 0.999)` and `epsilon = 1e-8` for the Adam family.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// Stochastic gradient descent: `v = momentum · v + g; w -= learning_rate · v`.
    Sgd {
        /// In `0..1`.
        momentum: f64,
    },
    /// Adam (Kingma and Ba, 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    AdamW {
        /// At least zero. Acts on weights and biases alike.
        weight_decay: f64,
    },
}

/// How many rows make one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchSize {
    /// So many, in an order that is shuffled anew each epoch; the last batch of an epoch may be smaller.
    Mini(usize),
    /// All of them.
    Full,
}

/// Ends training when the loss on rows set aside no longer falls, and keeps the weights of the best epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without improvement that are tolerated, at least 1.
    pub patience: u32,
    /// How far the loss must fall below the best one to count as an improvement.
    pub min_delta: f64,
    /// The share of rows set aside, in `0..1`.
    pub validation_ratio: f64,
}

impl Recipe {
    /// Defaults that do well on small and medium tables. Classifiers are held back by a strong weight decay: a network that can
    /// learn every row by heart generalises better with it, while a regression would lose the slope it is after.
    pub fn for_task(task: Task) -> Self {
        Self {
            hidden: vec![64, 32],
            activation: Activation::Relu,
            loss: match task {
                Task::Classification => Loss::CrossEntropy,
                Task::Regression => Loss::Mse,
            },
            optimiser: Optimiser::AdamW {
                weight_decay: match task {
                    Task::Classification => 0.3,
                    Task::Regression => 0.01,
                },
            },
            learning_rate: 1e-3,
            batch: BatchSize::Mini(32),
            epochs: 100,
            early_stopping: None,
            seed: 0,
            standardise: true,
            standardise_target: task == Task::Regression,
            weight_clip: None,
        }
    }

    /// The recipe as JSON with its fields in a fixed order, so that equal recipes give equal text.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Recipe {
            setting: "recipe",
            problem: format!("has no JSON form: {error}"),
        })
    }

    /// Checks every setting by itself. Whether the loss fits the data is checked when training starts.
    pub fn validate(&self) -> Result<(), Error> {
        require(self.hidden.len() <= HIDDEN_LAYERS_MAX, "hidden", || {
            format!("has {} layers, at most {HIDDEN_LAYERS_MAX} are allowed", self.hidden.len())
        })?;
        for &width in &self.hidden {
            require((1..=HIDDEN_UNITS_MAX).contains(&width), "hidden", || {
                format!("has a layer of {width} units, expected 1 to {HIDDEN_UNITS_MAX}")
            })?;
        }
        require(positive(self.learning_rate), "learning_rate", || {
            format!("is {}, expected a finite number above 0", self.learning_rate)
        })?;
        require((1..=EPOCHS_MAX).contains(&self.epochs), "epochs", || {
            format!("is {}, expected 1 to {EPOCHS_MAX}", self.epochs)
        })?;
        if let BatchSize::Mini(rows) = self.batch {
            require((1..=BATCH_MAX).contains(&rows), "batch", || {
                format!("is {rows} rows, expected 1 to {BATCH_MAX}")
            })?;
        }
        if let Some(bound) = self.weight_clip {
            require(positive(f64::from(bound)), "weight_clip", || {
                format!("is {bound}, expected a finite number above 0")
            })?;
        }
        self.optimiser.validate()?;
        self.early_stopping.map_or(Ok(()), |rule| rule.validate())
    }
}

impl Optimiser {
    fn validate(self) -> Result<(), Error> {
        match self {
            Self::Sgd { momentum } => require((0.0..1.0).contains(&momentum), "momentum", || {
                format!("is {momentum}, expected at least 0 and below 1")
            }),
            Self::Adam => Ok(()),
            Self::AdamW { weight_decay } => {
                require(weight_decay.is_finite() && weight_decay >= 0.0, "weight_decay", || {
                    format!("is {weight_decay}, expected a finite number of at least 0")
                })
            }
        }
    }
}

impl EarlyStopping {
    fn validate(self) -> Result<(), Error> {
        require(self.patience >= 1, "patience", || "is 0, expected at least 1".to_owned())?;
        require(self.min_delta.is_finite() && self.min_delta >= 0.0, "min_delta", || {
            format!("is {}, expected a finite number of at least 0", self.min_delta)
        })?;
        let ratio = self.validation_ratio;
        require(ratio > 0.0 && ratio < 1.0, "validation_ratio", || {
            format!("is {ratio}, expected above 0 and below 1")
        })
    }
}

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

pub(crate) fn require(
    holds: bool,
    setting: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Recipe { setting, problem: problem() }) }
}

#[cfg(test)]
mod tests;
