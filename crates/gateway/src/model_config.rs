//! How a model is served, in the words of Triton's model configuration.

use leat_contract::{Batching, Datatype, ModelMetadata, TensorMetadata};

/// What there is to say, for both protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelConfig {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) versions: Vec<i64>,
    pub(crate) max_batch_size: i32,
    pub(crate) max_queue_delay_microseconds: u64,
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

/// The configuration of a model as it is deployed.
pub(crate) fn of(metadata: &ModelMetadata, batching: &Batching) -> ModelConfig {
    ModelConfig {
        name: metadata.name.to_string(),
        platform: metadata.platform.clone(),
        versions: metadata.versions.iter().filter_map(|version| version.parse().ok()).collect(),
        max_batch_size: i32::try_from(batching.max_size).unwrap_or(i32::MAX),
        max_queue_delay_microseconds: batching.max_delay_us.into(),
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
