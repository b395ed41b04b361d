//! A model in the shape of the Open Inference Protocol V2, with a request that it answers.

use leat_contract::{Datatype, ModelMetadata, TensorMetadata};
use leat_model::{DataType, TensorSpec};
use serde_json::json;

use crate::loaded::LoadedVersion;
use crate::served::RouteTable;

/// What a model takes and gives; none when nothing is routed. The version with the largest share speaks for all.
pub(crate) fn metadata(routes: &RouteTable) -> Option<ModelMetadata> {
    let versions = routes.versions.iter().map(|(version, _)| version.version.to_string()).collect();
    Some(ModelMetadata { versions, ..metadata_of(routes.principal()?) })
}

/// What one version takes and gives.
pub(crate) fn metadata_of(version: &LoadedVersion) -> ModelMetadata {
    let signature = &version.signature;
    ModelMetadata {
        name: version.model.clone(),
        versions: vec![version.version.to_string()],
        version: Some(version.version.to_string()),
        platform: version.platform.to_owned(),
        inputs: signature.inputs.iter().map(tensor).collect(),
        outputs: signature.outputs.iter().map(tensor).collect(),
        labels: signature.labels.clone(),
        features: signature.features.clone(),
        example: example(version),
    }
}

fn tensor(spec: &TensorSpec) -> TensorMetadata {
    let datatype = match spec.datatype {
        DataType::Fp32 => Datatype::Fp32,
        DataType::Fp64 => Datatype::Fp64,
        DataType::Int64 => Datatype::Int64,
        DataType::Bytes => Datatype::Bytes,
    };
    TensorMetadata { name: spec.name.clone(), datatype, shape: spec.shape.clone() }
}

fn example(version: &LoadedVersion) -> serde_json::Value {
    let features = version.plan.features();
    let name = version.signature.inputs.first().map_or("input", |input| input.name.as_str());
    json!({ "inputs": [{ "name": name, "datatype": "FP32", "shape": [1, features], "data": vec![0.0; features] }] })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leat_contract::InferRequest;

    use super::*;
    use crate::loaded::tests::{loaded, tiny_classifier, tiny_deployment};

    #[test]
    fn the_example_is_a_request_that_the_model_takes() {
        let versions = vec![Arc::new(loaded(2, &tiny_classifier()))];
        let routes = RouteTable::new(&tiny_deployment(&versions, &[100]), versions.clone());
        let metadata = metadata(&routes).unwrap();
        assert_eq!(metadata.versions, ["2"]);
        assert_eq!(metadata.outputs[1].datatype, Datatype::Bytes);
        assert_eq!(metadata.inputs[0].shape, [-1, 2]);
        let example = serde_json::to_vec(&metadata.example).unwrap();
        let (request, _) = InferRequest::decode(&example).unwrap();
        assert_eq!(crate::rows::append(request, &versions[0], 8, &mut Vec::new()).unwrap(), 1);
    }
}
