use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DatasetRef, check, check_compress_epochs, check_hidden};
use crate::limits::{self, check_limit};
use crate::{Error, ModelName, ModelVersion};

/// Make a smaller or faster version of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompressSpec {
    /// The model that gets a new version.
    pub model: ModelName,
    /// The version to begin with.
    pub version: ModelVersion,
    /// What to do, in order. At least one step.
    pub steps: Vec<CompressStep>,
    /// What to calibrate, fine-tune and measure with; by default the data set the version was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetRef>,
    /// The seed of every random choice. The same job with the same seed gives the same bytes.
    pub seed: u64,
}

impl CompressSpec {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and the value, or [`Error::TooLarge`].
    pub fn validate(&self) -> Result<(), Error> {
        check("steps", "an empty list", !self.steps.is_empty(), "a list of one step or more")?;
        check_limit("number of steps", self.steps.len() as u64, limits::COMPRESS_STEPS_MAX as u64)?;
        self.steps.iter().try_for_each(CompressStep::validate)
    }
}

/// One step of compression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CompressStep {
    /// Limit the size of weights.
    Clip {
        /// How.
        #[serde(default)]
        mode: ClipMode,
        /// The bound, above 0.
        epsilon: f32,
    },
    /// Store weights with fewer bits.
    Quantize(Quantize),
    /// Remove weights.
    Prune(Prune),
    /// Train the weights that are left, with the model as it came in as teacher. Weights that were set to zero stay zero.
    FineTune {
        /// Passes over the training rows.
        epochs: u32,
    },
    /// Train a smaller network to answer like this one (Hinton, Vinyals & Dean, 2015).
    Distil {
        /// Units of each hidden layer of the smaller network.
        hidden: Vec<u32>,
        /// What the logits are divided by before the softmax, above 0.
        temperature: f32,
        /// The weight of the teacher's answers against the true ones, from 0 to 1.
        alpha: f32,
        /// Passes over the training rows.
        epochs: u32,
    },
}

/// How weights are clipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClipMode {
    /// `clamp(w, -epsilon, epsilon)`.
    #[default]
    Clamp,
    /// `w * clip(|w|, 0, epsilon)`, to the letter.
    Literal,
}

/// How weights are quantized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Quantize {
    /// Weights as `i8`, activations as `u8` with ranges from calibration (Jacob et al., 2018).
    Int8 {
        /// How ranges are chosen.
        #[serde(default)]
        calibration: Calibration,
        /// One scale for each output instead of one for the tensor; so by default.
        #[serde(default = "per_channel_by_default")]
        per_channel: bool,
        /// Widen scales until two neighbouring weights of one sign have codes that sum to 128 at most; so by default. It costs a part of
        /// a bit of precision, and processors without 8-bit dot products run the model about a third faster.
        #[serde(default = "reduce_range_by_default", skip_serializing_if = "is_default")]
        reduce_range: bool,
    },
    /// `round(w * Q)` saturated to `i8`, for this Q above 0.
    Q(f32),
}

/// One scale for a whole tensor costs accuracy and saves next to nothing.
fn per_channel_by_default() -> bool {
    true
}

/// Who compresses a model seldom knows every processor that will run it.
fn reduce_range_by_default() -> bool {
    true
}

fn is_default(reduce_range: &bool) -> bool {
    *reduce_range == reduce_range_by_default()
}

/// How a range of values is chosen for quantization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// The smallest and the largest value seen.
    #[default]
    MinMax,
    /// This percentile of the absolute values, above 50 and at most 100.
    Percentile(f64),
    /// The range with the least squared error.
    Mse,
}

/// How weights are removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Prune {
    /// Set weights to zero whose absolute value is not above this, which is 0 or more.
    Threshold(f32),
    /// Set a share of the weights to zero, the smallest first.
    Rate {
        /// The share, above 0 and below 1.
        rate: f32,
        /// Over which weights the share is counted.
        #[serde(default)]
        scope: PruneScope,
    },
    /// Set a share of the blocks of four neighbouring weights of one output to zero, those with the smallest L1 norm first: layers on
    /// integers run without zero blocks.
    Blocks {
        /// The share, above 0 and below 1.
        rate: f32,
        /// Over which blocks the share is counted.
        #[serde(default)]
        scope: PruneScope,
    },
    /// Remove whole neurons, those with the smallest L1 norm first.
    L1Neurons {
        /// The share, above 0 and below 1.
        rate: f32,
        /// Passes over the training rows afterwards.
        #[serde(default)]
        fine_tune_epochs: u32,
    },
}

/// Over which weights a share is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PruneScope {
    /// All of the network together.
    #[default]
    Global,
    /// Those of each layer.
    PerLayer,
}

impl CompressStep {
    fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Clip { epsilon, .. } => check_positive("clip.epsilon", *epsilon),
            Self::Quantize(Quantize::Q(q)) => {
                check_positive("quantize.q", *q)?;
                let has_scale = (1.0 / q).is_normal() && (128.0 / q).is_finite();
                check("quantize.q", q, has_scale, "a number whose inverse is a normal number")
            }
            Self::Quantize(Quantize::Int8 { calibration: Calibration::Percentile(percentile), .. }) => {
                let is_percentile = *percentile > 50.0 && *percentile <= 100.0;
                check(
                    "quantize.int8.calibration.percentile",
                    percentile,
                    is_percentile,
                    "above 50 and at most 100",
                )
            }
            Self::Quantize(Quantize::Int8 { .. }) => Ok(()),
            Self::Prune(Prune::Threshold(threshold)) => {
                let is_threshold = threshold.is_finite() && *threshold >= 0.0;
                check("prune.threshold", threshold, is_threshold, "a finite number of 0 or more")
            }
            Self::Prune(Prune::Rate { rate, .. } | Prune::Blocks { rate, .. }) => check_share(*rate),
            Self::Prune(Prune::L1Neurons { rate, fine_tune_epochs }) => {
                check_share(*rate)?;
                // None at all is allowed here.
                check_compress_epochs("prune.l1_neurons.fine_tune_epochs", (*fine_tune_epochs).max(1))
            }
            Self::FineTune { epochs } => check_compress_epochs("fine_tune.epochs", *epochs),
            Self::Distil { hidden, temperature, alpha, epochs } => {
                check_hidden(hidden)?;
                check_positive("distil.temperature", *temperature)?;
                check("distil.alpha", alpha, (0.0..=1.0).contains(alpha), "from 0 to 1")?;
                check_compress_epochs("distil.epochs", *epochs)
            }
        }
    }
}

fn check_share(rate: f32) -> Result<(), Error> {
    check("prune.rate", rate, rate > 0.0 && rate < 1.0, "above 0 and below 1")
}

fn check_positive(field: &str, value: f32) -> Result<(), Error> {
    check(field, value, value.is_finite() && value > 0.0, "a finite number above 0")
}
