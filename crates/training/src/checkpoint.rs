use leat_model::{Digest, messagepack};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::early_stopping::Best;
use crate::optimiser::Moments;

const FORMAT: &str = "leat.checkpoint";
const FORMAT_VERSION: u32 = 1;

/// The whole state of a [`crate::Fit`] between two epochs. Training that goes on from it gives the same bytes as training that was
/// never interrupted. It belongs to one data set and one recipe and says so by their digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    format: String,
    format_version: u32,
    pub(crate) job: Digest,
    pub(crate) epoch: u32,
    pub(crate) train_loss: f64,
    #[serde(with = "messagepack::f32_bytes")]
    pub(crate) parameters: Vec<f32>,
    steps: u64,
    #[serde(with = "messagepack::f32_bytes")]
    first_moments: Vec<f32>,
    #[serde(with = "messagepack::f32_bytes")]
    second_moments: Vec<f32>,
    best_epoch: u32,
    best_loss: f64,
    #[serde(with = "messagepack::f32_bytes")]
    best_parameters: Vec<f32>,
    stale_epochs: u32,
}

/// Where training stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub(crate) epoch: u32,
    pub(crate) train_loss: f64,
    pub(crate) moments: Moments,
    pub(crate) best: Best,
}

impl Checkpoint {
    pub(crate) fn new(job: Digest, parameters: &[f32], progress: &Progress) -> Self {
        let Progress { epoch, train_loss, moments, best } = progress.clone();
        Self {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            job,
            epoch,
            train_loss,
            parameters: parameters.to_vec(),
            steps: moments.steps,
            first_moments: moments.first,
            second_moments: moments.second,
            best_epoch: best.epoch,
            best_loss: best.loss,
            best_parameters: best.parameters,
            stale_epochs: best.stale,
        }
    }

    /// The last epoch that had run, counted from 1.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The checkpoint as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(messagepack::encode(self)?)
    }

    /// Reads what [`Self::encode`] wrote. Whether it fits data and recipe is checked by [`crate::Fit::resume`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let checkpoint: Self = messagepack::decode(bytes)?;
        let (format, version) = (checkpoint.format.as_str(), checkpoint.format_version);
        if (format, version) != (FORMAT, FORMAT_VERSION) {
            return Err(Error::Checkpoint(format!(
                "expected {FORMAT} version {FORMAT_VERSION}, found {:?} version {version}",
                format.chars().take(40).collect::<String>()
            )));
        }
        Ok(checkpoint)
    }

    /// The state in it, after checking that it has the shape of `fresh` and holds finite numbers only.
    pub(crate) fn progress(&self, fresh: &Progress, parameters: usize) -> Result<Progress, Error> {
        let refuse = |problem: &str| Err(Error::Checkpoint(problem.to_owned()));
        let has_best = self.best_epoch > 0;
        let lengths_fit = self.parameters.len() == parameters
            && self.first_moments.len() == fresh.moments.first.len()
            && self.second_moments.len() == fresh.moments.second.len()
            && self.best_parameters.len() == if has_best { parameters } else { 0 };
        if !lengths_fit {
            return refuse("its vectors do not have the length of the network");
        }
        let mut values = self.parameters.iter().chain(&self.best_parameters);
        let mut moments = self.first_moments.iter().chain(&self.second_moments);
        let is_finite = values.all(|value| value.is_finite()) && moments.all(|value| value.is_finite());
        if !is_finite || !self.train_loss.is_finite() || !self.best_loss.is_finite() {
            return refuse("it holds a number that is not finite");
        }
        if self.second_moments.iter().any(|square| *square < 0.0) {
            return refuse("a mean of squares is negative");
        }
        if self.best_epoch > self.epoch || self.stale_epochs > self.epoch {
            return refuse("its epochs contradict each other");
        }
        Ok(Progress {
            epoch: self.epoch,
            train_loss: self.train_loss,
            moments: Moments {
                steps: self.steps,
                first: self.first_moments.clone(),
                second: self.second_moments.clone(),
            },
            best: Best {
                epoch: self.best_epoch,
                loss: self.best_loss,
                parameters: self.best_parameters.clone(),
                stale: self.stale_epochs,
            },
        })
    }
}
