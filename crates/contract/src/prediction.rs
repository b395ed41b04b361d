//! What was predicted for requests with an id, so that labels can be compared with it later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ModelName, ModelVersion, RequestId, WorkerId};

/// Some predictions of one worker, published together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictionBatch {
    /// Who predicted.
    pub worker: WorkerId,
    /// The model.
    pub model: ModelName,
    /// One record per request.
    pub records: Vec<PredictionRecord>,
}

/// What was answered to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictionRecord {
    /// The `id` of the request.
    pub request_id: RequestId,
    /// The version that answered.
    pub version: ModelVersion,
    /// When, in unix milliseconds.
    pub at: u64,
    /// One value per row of the request.
    pub rows: Vec<PredictedValue>,
}

/// What was predicted for one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictedValue {
    /// Classification.
    Class {
        /// The most probable class.
        label: String,
        /// Its probability.
        probability: f32,
    },
    /// Regression: one value per target.
    Values(Vec<f32>),
}
