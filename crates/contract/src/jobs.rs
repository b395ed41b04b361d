//! What the trainer and the compressor can be asked to do.

mod compress;
mod train;

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use compress::{Calibration, ClipMode, CompressSpec, CompressStep, Prune, PruneScope, Quantize};
pub use train::{Activation, EarlyStopping, Loss, Optimiser, TrainSpec};

use crate::limits::{self, check_limit};
use crate::{Digest, Error, JobId, ModelName};

/// The kinds of jobs; each has its subject and its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Train a model on a data set.
    Train,
    /// Make a smaller or faster version of a model.
    Compress,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Train, Self::Compress];

    /// The token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Compress => "compress",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == value);
        found.ok_or_else(|| Error::name("job kind", value, "one of train, compress"))
    }
}

/// What a job shall do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobSpec {
    /// Train a model on a data set.
    Train(TrainSpec),
    /// Make a smaller or faster version of a model.
    Compress(CompressSpec),
}

impl JobSpec {
    /// The kind, hence the subject.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Train(_) => JobKind::Train,
            Self::Compress(_) => JobKind::Compress,
        }
    }

    /// The model that gets a new version.
    pub fn model(&self) -> &ModelName {
        match self {
            Self::Train(spec) => &spec.model,
            Self::Compress(spec) => &spec.model,
        }
    }

    /// The seed of every random choice.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Train(spec) => spec.seed,
            Self::Compress(spec) => spec.seed,
        }
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and the value, or [`Error::TooLarge`].
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Train(spec) => spec.validate(),
            Self::Compress(spec) => spec.validate(),
        }
    }
}

/// A job as it is submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobMessage {
    /// Its id, also the id by which the stream drops duplicates.
    pub job: JobId,
    /// What to do.
    pub spec: JobSpec,
}

/// A data set in the object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetRef {
    /// The digest of its bytes, which is the name of the object.
    pub digest: Digest,
    /// What people call it, for example the file name.
    pub name: String,
}

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One or more numbers per row.
    Regression,
    /// One class per row.
    Classification,
}

impl Task {
    /// As written in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Classification => "classification",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        let found = [Self::Regression, Self::Classification].into_iter().find(|task| task.as_str() == value);
        found.ok_or_else(|| Error::name("task", value, "one of regression, classification"))
    }
}

/// Refuses a number outside its range, naming field and value.
fn check(field: &str, value: impl fmt::Display, is_in_range: bool, range: &str) -> Result<(), Error> {
    if is_in_range { Ok(()) } else { Err(Error::invalid(field, format!("{value} is not {range}"))) }
}

/// Refuses layer sizes that no network can have.
fn check_hidden(hidden: &[u32]) -> Result<(), Error> {
    check_limit("number of hidden layers", hidden.len() as u64, limits::HIDDEN_LAYERS_MAX as u64)?;
    for &units in hidden {
        check("hidden", units, units >= 1, "1 or more")?;
        check_limit("units of a hidden layer", units.into(), limits::HIDDEN_UNITS_MAX as u64)?;
    }
    Ok(())
}

/// Refuses a number of epochs that no step of compression takes.
fn check_compress_epochs(field: &str, epochs: u32) -> Result<(), Error> {
    check(field, epochs, epochs >= 1, "1 or more")?;
    check_limit("epochs of a step of compression", epochs.into(), limits::COMPRESS_EPOCHS_MAX.into())
}

#[cfg(test)]
mod tests;
