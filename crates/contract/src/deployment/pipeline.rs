//! Several models that answer together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{self, check_limit};
use crate::{Digest, Error, ModelName, ModelVersion};

/// Models that answer together with the versions of the routes, inside one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// How.
    pub mode: PipelineMode,
    /// The others, in their order.
    pub members: Vec<PipelineMember>,
}

/// How models answer together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipelineMode {
    /// Each takes what the one before it gives; the last one's answer is sent.
    Sequence,
    /// All take the same rows; the mean of their predictions or probabilities is sent.
    Average,
    /// All take the same rows; each class gets the share of the classifiers that hold it for the best.
    Vote,
}

/// One of the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineMember {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// Its blob.
    pub digest: Digest,
}

impl Pipeline {
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.members.is_empty() {
            return Err(Error::invalid("pipeline.members", "a pipeline needs at least one other model"));
        }
        check_limit("members of a pipeline", self.members.len() as u64, limits::PIPELINE_MEMBERS_MAX as u64)
    }
}
