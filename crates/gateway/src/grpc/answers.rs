//! What the gateway and its models say of themselves over gRPC.

use leat_contract::{BatchFigures, TimeTotal};

use crate::model_config::{ConfigTensor, ModelConfig as Described, type_name};
use crate::statistics::VersionStatistics;
use crate::wire::inference::{
    DataType, InferBatchStatistics, InferStatistics, ModelConfig, ModelDynamicBatching, ModelInput,
    ModelOutput, ModelResponseCache, ModelStatistics, ModelTensorReshape, ModelTransactionPolicy,
    ModelVersionPolicy, StatisticDuration, model_metadata_response, model_version_policy,
};

pub(super) fn tensor(tensor: leat_contract::TensorMetadata) -> model_metadata_response::TensorMetadata {
    model_metadata_response::TensorMetadata {
        name: tensor.name,
        datatype: tensor.datatype.to_string(),
        shape: tensor.shape,
    }
}

pub(super) fn config(config: Described) -> ModelConfig {
    let specific = model_version_policy::Specific { versions: config.versions };
    let policy = model_version_policy::PolicyChoice::Specific(specific);
    let input = |tensor: &ConfigTensor| ModelInput {
        name: tensor.name.clone(),
        data_type: data_type(tensor),
        dims: tensor.dims.clone(),
        reshape: reshape(tensor),
    };
    let output = |tensor: &ConfigTensor| ModelOutput {
        name: tensor.name.clone(),
        data_type: data_type(tensor),
        dims: tensor.dims.clone(),
        reshape: reshape(tensor),
    };
    ModelConfig {
        name: config.name,
        backend: config.platform.clone(),
        platform: config.platform,
        version_policy: Some(ModelVersionPolicy { policy_choice: Some(policy) }),
        max_batch_size: config.max_batch_size,
        input: config.inputs.iter().map(input).collect(),
        output: config.outputs.iter().map(output).collect(),
        dynamic_batching: Some(ModelDynamicBatching {
            preferred_batch_size: config.preferred_batch_size,
            max_queue_delay_microseconds: config.max_queue_delay_microseconds,
        }),
        model_transaction_policy: Some(ModelTransactionPolicy { decoupled: false }),
        response_cache: Some(ModelResponseCache { enable: config.has_response_cache }),
    }
}

fn data_type(tensor: &ConfigTensor) -> i32 {
    DataType::from_str_name(&type_name(tensor.datatype)).unwrap_or(DataType::TypeInvalid).into()
}

fn reshape(tensor: &ConfigTensor) -> Option<ModelTensorReshape> {
    tensor.is_reshaped.then(ModelTensorReshape::default)
}

pub(super) fn statistics(version: VersionStatistics) -> ModelStatistics {
    let totals = version.totals;
    let duration = |total: TimeTotal| Some(StatisticDuration { count: total.count, ns: total.ns });
    // How long looking took is not measured.
    let looked_up = |count| duration(TimeTotal { count, ns: 0 });
    let stats = InferStatistics {
        success: duration(totals.success),
        fail: duration(totals.fail),
        queue: duration(totals.queue),
        compute_input: duration(totals.input),
        compute_infer: duration(totals.compute),
        compute_output: duration(totals.output),
        cache_hit: looked_up(totals.cache.hits),
        cache_miss: looked_up(totals.cache.misses),
    };
    let of_size = |batch: BatchFigures| InferBatchStatistics {
        batch_size: batch.size,
        compute_input: duration(batch.input),
        compute_infer: duration(batch.compute),
        compute_output: duration(batch.output),
    };
    ModelStatistics {
        name: version.model,
        version: version.version,
        last_inference: totals.last_at,
        inference_count: totals.rows,
        execution_count: totals.batches,
        inference_stats: Some(stats),
        batch_stats: version.batches.into_iter().map(of_size).collect(),
    }
}
