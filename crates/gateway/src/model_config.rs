//! How a model is served, in the words of Triton's model configuration.

use leat_contract::{Datatype, Deployment, ModelMetadata, TensorMetadata};

/// What there is to say, for both protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelConfig {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) versions: Vec<i64>,
    pub(crate) max_batch_size: i32,
    pub(crate) preferred_batch_size: Vec<i32>,
    pub(crate) max_queue_delay_microseconds: u64,
    /// Whether answers from before are given again.
    pub(crate) has_response_cache: bool,
    pub(crate) inputs: Vec<ConfigTensor>,
    pub(crate) outputs: Vec<ConfigTensor>,
}

/// One tensor without its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigTensor {
    pub(crate) name: String,
    pub(crate) datatype: Datatype,
    /// Never empty: one value for each row is `[1]`, which [`ConfigTensor::is_reshaped`] to nothing.
    pub(crate) dims: Vec<i64>,
    pub(crate) is_reshaped: bool,
}

/// The configuration of a model as it is deployed, as far as that is known.
pub(crate) fn of(metadata: &ModelMetadata, deployment: Option<&Deployment>) -> ModelConfig {
    let batching = deployment.map(|deployment| deployment.batching.clone()).unwrap_or_default();
    let size = |size: u32| i32::try_from(size).unwrap_or(i32::MAX);
    ModelConfig {
        name: metadata.name.to_string(),
        platform: metadata.platform.clone(),
        versions: metadata.versions.iter().filter_map(|version| version.parse().ok()).collect(),
        max_batch_size: size(batching.max_size),
        preferred_batch_size: batching.preferred_size.map(size).into_iter().collect(),
        max_queue_delay_microseconds: batching.max_delay_us.into(),
        has_response_cache: deployment.is_some_and(|deployment| deployment.cache.is_some()),
        inputs: metadata.inputs.iter().map(tensor).collect(),
        outputs: metadata.outputs.iter().map(tensor).collect(),
    }
}

/// Its name in Triton's enumeration.
pub(crate) fn type_name(datatype: Datatype) -> String {
    match datatype {
        Datatype::Bytes => "TYPE_STRING".to_owned(),
        other => format!("TYPE_{other}"),
    }
}

fn tensor(tensor: &TensorMetadata) -> ConfigTensor {
    let dims: Vec<i64> = tensor.shape.iter().skip(1).copied().collect();
    let is_reshaped = dims.is_empty();
    ConfigTensor {
        name: tensor.name.clone(),
        datatype: tensor.datatype,
        dims: if is_reshaped { vec![1] } else { dims },
        is_reshaped,
    }
}

#[cfg(test)]
mod tests {
    use leat_contract::{Batching, Caching};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_deployment_says_of_batches_and_kept_answers_is_told() {
        let metadata = json!({
            "name": "digits", "versions": ["1", "2"], "platform": "leat_native", "inputs": [], "outputs": [],
            "labels": [], "features": [], "example": null,
        });
        let metadata: ModelMetadata = serde_json::from_value(metadata).unwrap();
        let unknown = of(&metadata, None);
        assert_eq!((unknown.versions, unknown.preferred_batch_size), (vec![1, 2], vec![]));
        assert!(!unknown.has_response_cache);
        let mut deployment = Deployment::new(metadata.name.clone(), Vec::new());
        deployment.batching = Batching { max_size: 64, max_delay_us: 500, preferred_size: Some(16) };
        deployment.cache = Some(Caching { bytes_max: 1 << 20 });
        let config = of(&metadata, Some(&deployment));
        assert_eq!((config.max_batch_size, config.max_queue_delay_microseconds), (64, 500));
        assert_eq!((config.preferred_batch_size, config.has_response_cache), (vec![16], true));
    }
}
