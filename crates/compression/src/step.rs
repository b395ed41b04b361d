use serde::{Deserialize, Serialize};

use crate::Error;

/// One thing to do to a model. Fields stand in alphabetical order, so that the JSON of a step is canonical.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Bound the weights; biases stay.
    Clip {
        /// The bound, finite and above zero.
        epsilon: f32,
        /// Which formula.
        mode: ClipMode,
    },
    /// Store the weights as `i8` codes.
    Quantize(Quantize),
    /// Remove weights or neurons.
    Prune(Prune),
    /// Train the surviving weights again on the training rows, with the model as it came in as teacher.
    FineTune {
        /// Passes over the training rows, above zero.
        epochs: u32,
    },
    /// Train a new, smaller network to answer like this one (Hinton, Vinyals & Dean, 2015).
    Distil {
        /// The weight of the soft targets against the labels, 0 to 1.
        alpha: f64,
        /// Passes over the training rows, above zero.
        epochs: u32,
        /// The widths of the hidden layers of the new network.
        hidden: Vec<usize>,
        /// Softens the teacher's probabilities, above zero.
        temperature: f64,
    },
}

/// How [`Step::Clip`] bounds a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipMode {
    /// `w ← clamp(w, -ε, ε)`.
    Clamp,
    /// `w ← w · clip(|w|, 0, ε)`, which shrinks every weight: small ones are squared, large ones scaled by ε.
    Literal,
}

/// How [`Step::Quantize`] chooses the codes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Quantize {
    /// Symmetric `i8` weights and calibrated `u8` activations, so that the layer runs on integers.
    Int8 {
        /// How ranges of weights and activations are chosen.
        calibration: Calibration,
        /// One scale per output channel instead of one per layer.
        per_channel: bool,
        /// Choose scales so wide that the codes of two neighbouring weights of one sign sum to 128 at most: then the sum of their
        /// products with `u8` activations fits 16 bits, and processors without 8-bit dot products, which multiply two by two into 16
        /// bits, are exact at full speed. Costs a part of a bit of precision, one bit at most. ONNX Runtime and PyTorch have the same
        /// for the same reason, and give up the whole bit.
        reduce_range: bool,
    },
    /// `codes = round(w · Q)`, half away from zero, saturated to `i8`; `scale = 1 / Q`. Weights only: activations stay float.
    Q(f32),
}

/// How the range that the codes span is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// Everything that was seen.
    MinMax,
    /// This percentage of what was seen, above 50 and up to 100.
    Percentile(f64),
    /// The range with the least mean squared error.
    Mse,
}

/// What [`Step::Prune`] removes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Prune {
    /// `w ← w · mask(|w| > θ)`.
    Threshold(f32),
    /// The given share of all weights, the smallest by magnitude.
    Rate {
        /// Share of weights that are zero afterwards, above 0 and below 1.
        rate: f64,
        /// Where the smallest are looked for.
        scope: Scope,
    },
    /// The given share of all blocks of four neighbouring weights of one output, those with the smallest L1 norms. A layer on integers runs
    /// without its zero blocks, while single zeros between other weights cost it as much as these.
    Blocks {
        /// Share of blocks that are zero afterwards, above 0 and below 1.
        rate: f64,
        /// Where the smallest are looked for.
        scope: Scope,
    },
    /// Whole hidden neurons with the smallest L1 norms. The network becomes narrower.
    L1Neurons {
        /// Passes over the training rows afterwards, or 0 for none.
        fine_tune_epochs: u32,
        /// Share of the neurons of every hidden layer, above 0 and below 1.
        rate: f64,
    },
}

/// Where [`Prune::Rate`] and [`Prune::Blocks`] look for the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Over all layers together; every layer keeps at least 5 % of its weights or blocks.
    Global,
    /// In each layer by itself.
    PerLayer,
}

/// Passes over the training rows that one step may ask for.
const EPOCHS_MAX: u32 = 10_000;

impl Step {
    /// The step as canonical JSON: no white space, keys in alphabetical order.
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self)?)
    }

    /// Checks the numbers of this step, which stands at `position` (counted from 1).
    ///
    /// # Errors
    /// [`Error::InvalidStep`] with the reason.
    pub fn validate(&self, position: usize) -> Result<(), Error> {
        match self.complaint() {
            Some(reason) => Err(Error::InvalidStep { position, step: self.to_json()?, reason }),
            None => Ok(()),
        }
    }

    fn complaint(&self) -> Option<String> {
        match self {
            Self::Clip { epsilon, .. } => above_zero("epsilon", f64::from(*epsilon)),
            Self::Quantize(Quantize::Q(q)) => above_zero("q", f64::from(*q)).or_else(|| {
                let is_possible = (1.0 / q).is_normal() && (128.0 / q).is_finite();
                (!is_possible)
                    .then(|| format!("1 / q must be a normal number and 128 / q finite, and q is {q}"))
            }),
            Self::Quantize(Quantize::Int8 { calibration: Calibration::Percentile(percentile), .. }) => {
                let is_possible = *percentile > 50.0 && *percentile <= 100.0;
                (!is_possible)
                    .then(|| format!("the percentile must be above 50 and up to 100, not {percentile}"))
            }
            Self::Quantize(Quantize::Int8 { .. }) => None,
            Self::Prune(Prune::Threshold(threshold)) => {
                let is_possible = threshold.is_finite() && *threshold >= 0.0;
                (!is_possible).then(|| format!("the threshold must be zero or more, not {threshold}"))
            }
            Self::Prune(Prune::Rate { rate, .. } | Prune::Blocks { rate, .. }) => share("rate", *rate),
            Self::Prune(Prune::L1Neurons { rate, fine_tune_epochs }) => {
                share("rate", *rate).or_else(|| too_many_epochs(*fine_tune_epochs))
            }
            Self::FineTune { epochs } => no_epochs(*epochs).or_else(|| too_many_epochs(*epochs)),
            Self::Distil { alpha, epochs, temperature, hidden } => above_zero("temperature", *temperature)
                .or_else(|| {
                    (!(0.0..=1.0).contains(alpha))
                        .then(|| format!("alpha must lie between 0 and 1, not {alpha}"))
                })
                .or_else(|| no_epochs(*epochs))
                .or_else(|| too_many_epochs(*epochs))
                .or_else(|| {
                    hidden.contains(&0).then(|| "a hidden layer needs at least one neuron".to_owned())
                }),
        }
    }
}

fn above_zero(name: &str, value: f64) -> Option<String> {
    let is_possible = value.is_finite() && value > 0.0;
    (!is_possible).then(|| format!("{name} must be finite and above zero, not {value}"))
}

fn share(name: &str, value: f64) -> Option<String> {
    let is_possible = value > 0.0 && value < 1.0;
    (!is_possible).then(|| format!("{name} must be above 0 and below 1, not {value}"))
}

fn no_epochs(epochs: u32) -> Option<String> {
    (epochs == 0).then(|| "epochs must be above zero".to_owned())
}

fn too_many_epochs(epochs: u32) -> Option<String> {
    (epochs > EPOCHS_MAX)
        .then(|| format!("{epochs} epochs are more than the {EPOCHS_MAX} that one step may take"))
}

#[cfg(test)]
mod tests;
