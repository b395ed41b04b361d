//! Requests and replies of inference between gRPC and the contract.

use leat_contract::{InferRequest, InferResponse, RequestBody, RequestId, RequestedOutput};

use super::tensors;
use crate::elements;
use crate::refusal::Refusal;
use crate::route::Named;
use crate::wire::inference::model_infer_response::InferOutputTensor;
use crate::wire::inference::{InferParameter, ModelInferRequest, ModelInferResponse, infer_parameter};

/// Which model is asked, and what.
///
/// # Errors
/// When the message contradicts itself.
pub(super) fn read(message: ModelInferRequest) -> Result<(Named, InferRequest), Refusal> {
    let named = named(message.model_name, message.model_version);
    let id: Option<RequestId> = match message.id.as_str() {
        "" => None,
        id => Some(id.parse()?),
    };
    let inputs = tensors::read(message.inputs, &message.raw_input_contents)?;
    let mut outputs = Vec::new();
    for output in message.outputs {
        tensors::parameters(output.parameters)?;
        outputs.push(RequestedOutput { name: output.name, parameters: Default::default() });
    }
    let body = RequestBody::Tensors { inputs, outputs: Some(outputs).filter(|outputs| !outputs.is_empty()) };
    let mut parameters = tensors::parameters(message.parameters)?;
    parameters.remove("binary_data_output");
    Ok((named, InferRequest { id, deadline_ms: None, parameters, body }))
}

/// A model as a message names it.
pub(super) fn named(model: String, version: String) -> Named {
    Named { model, version: Some(version).filter(|version| !version.is_empty()) }
}

/// The reply, its tensors raw: clients read only those.
pub(super) fn write(response: InferResponse) -> ModelInferResponse {
    let raw = response.outputs.iter().map(|output| elements::to_raw(&output.data).into()).collect();
    let output = |output: leat_contract::Tensor| InferOutputTensor {
        datatype: output.datatype().to_string(),
        name: output.name,
        shape: output.shape.iter().map(|length| i64::try_from(*length).unwrap_or(i64::MAX)).collect(),
        parameters: Default::default(),
        contents: None,
    };
    ModelInferResponse {
        model_name: response.model_name.to_string(),
        model_version: response.model_version.to_string(),
        id: response.id.map(|id| id.to_string()).unwrap_or_default(),
        parameters: response.parameters.into_iter().map(|(name, value)| (name, parameter(value))).collect(),
        outputs: response.outputs.into_iter().map(output).collect(),
        raw_output_contents: raw,
    }
}

fn parameter(value: leat_contract::Scalar) -> InferParameter {
    use infer_parameter::ParameterChoice;
    use leat_contract::Scalar;
    let choice = match value {
        Scalar::Bool(value) => ParameterChoice::BoolParam(value),
        Scalar::Integer(value) => ParameterChoice::Int64Param(value),
        Scalar::Number(value) => ParameterChoice::DoubleParam(value),
        Scalar::Text(value) => ParameterChoice::StringParam(value),
    };
    InferParameter { parameter_choice: Some(choice) }
}
