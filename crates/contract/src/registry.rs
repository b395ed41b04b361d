//! What the registry knows of each version of a model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AliasName, DatasetRef, Digest, JobId, ModelName, ModelVersion, Task};

/// The entry of one version, under [`Manifest::key`]. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// The blob in the object store of models.
    pub digest: Digest,
    /// The size of the blob.
    pub bytes: u64,
    /// What it predicts.
    pub task: Task,
    /// When it was registered.
    pub created_at: u64,
    /// The job that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The version it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ModelVersion>,
    /// The data it learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetRef>,
    /// The column of the data that it predicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Figures of merit on rows it had not seen.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// The number of weights and biases.
    pub parameters: u64,
    /// How weights are stored, for example `f32` or `int8 per channel, 70 % sparse`.
    pub encoding: String,
    /// The names of the features, in order.
    pub features: Vec<String>,
    /// The class labels in the order of the probabilities, or the names of the targets.
    pub labels: Vec<String>,
    /// How it was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Map<String, Value>>,
    /// What each compression step did, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compression: Vec<Map<String, Value>>,
    /// How fast it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<ManifestLatency>,
    /// The blob is gone; the entry stays so that the number is never used again.
    #[serde(default)]
    pub deleted: bool,
}

impl Manifest {
    /// The key of a version in the registry, `<model>.version.<n>`.
    pub fn key(model: &ModelName, version: ModelVersion) -> String {
        format!("{model}.version.{version}")
    }

    /// The model and version of a key, none for other keys.
    pub fn parse_key(key: &str) -> Option<(ModelName, ModelVersion)> {
        let (model, version) = key.split_once(".version.")?;
        Some((model.parse().ok()?, version.parse().ok()?))
    }
}

/// How fast a version runs, measured where it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestLatency {
    /// Rows per run.
    pub batch: u32,
    /// The median in microseconds.
    pub p50_us: f64,
    /// The 99th percentile in microseconds.
    pub p99_us: f64,
    /// The parent measured in turn with it, so that the two can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<LatencyBefore>,
}

/// How fast the parent of a version runs on the same machine at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyBefore {
    /// The median in microseconds.
    pub p50_us: f64,
    /// The 99th percentile in microseconds.
    pub p99_us: f64,
}

/// A name for a version that can be moved, under [`Alias::key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alias {
    /// The version it points at.
    pub version: ModelVersion,
    /// When it was moved there, in unix milliseconds.
    pub updated_at: u64,
}

impl Alias {
    /// The key of an alias in the registry, `<model>.alias.<name>`.
    pub fn key(model: &ModelName, alias: &AliasName) -> String {
        format!("{model}.alias.{alias}")
    }

    /// The model and name of a key, none for other keys.
    pub fn parse_key(key: &str) -> Option<(ModelName, AliasName)> {
        let (model, alias) = key.split_once(".alias.")?;
        Some((model.parse().ok()?, alias.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_the_model_and_the_version_or_alias() {
        let model = ModelName::new("digits").unwrap();
        let key = Manifest::key(&model, ModelVersion::FIRST);
        assert_eq!(key, "digits.version.1");
        assert_eq!(Manifest::parse_key(&key), Some((model.clone(), ModelVersion::FIRST)));
        let alias = AliasName::new("production").unwrap();
        assert_eq!(Alias::parse_key(&Alias::key(&model, &alias)), Some((model, alias)));
        for other in
            ["digits", "digits.version.0", "digits.version.01", "digits.alias.production", "Digits.version.1"]
        {
            assert_eq!(Manifest::parse_key(other), None, "{other}");
        }
    }
}
