//! The JSON of a request whose options or tensors the gateway itself must read.

use leat_contract::{
    Datatype, InferRequest, Parameters, RequestBody, RequestId, RequestedOutput, Scalar, Tensor,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::bounded;
use crate::raw_type::RawType;
use crate::refusal::Refusal;

/// The options of a tensor that are the gateway's own affair.
const BINARY_SIZE: &str = "binary_data_size";
const BINARY: &str = "binary_data";
const BINARY_OUTPUT: &str = "binary_data_output";
/// Options that would change the answer and are not there.
const UNSUPPORTED: [&str; 3] = ["classification", "shared_memory_region", "shared_memory_byte_size"];

/// A request as its JSON says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header<'body> {
    #[serde(default)]
    id: Option<RequestId>,
    /// The path says which model; KServe's client repeats it here.
    #[serde(default, rename = "model_name")]
    _model_name: IgnoredAny,
    #[serde(default, rename = "model_version")]
    _model_version: IgnoredAny,
    #[serde(default)]
    deadline_ms: Option<u64>,
    #[serde(default, deserialize_with = "bounded::parameters")]
    parameters: Parameters,
    #[serde(borrow, deserialize_with = "bounded::tensors")]
    pub(crate) inputs: Vec<HeaderInput<'body>>,
    #[serde(default, deserialize_with = "bounded::some_tensors")]
    outputs: Option<Vec<HeaderOutput>>,
}

/// One input: its data stand here, or behind the JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderInput<'body> {
    pub(crate) name: String,
    pub(crate) datatype: RawType,
    #[serde(deserialize_with = "bounded::dimensions")]
    pub(crate) shape: Vec<usize>,
    #[serde(default, deserialize_with = "bounded::parameters")]
    parameters: Parameters,
    #[serde(borrow, default)]
    data: Option<&'body RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderOutput {
    name: String,
    #[serde(default, deserialize_with = "bounded::parameters")]
    parameters: Parameters,
}

/// Which outputs go behind the JSON of the reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BinaryOutputs {
    by_default: bool,
    by_name: Vec<(String, bool)>,
}

impl BinaryOutputs {
    /// Every output.
    pub(crate) fn all() -> Self {
        Self { by_default: true, by_name: Vec::new() }
    }

    pub(crate) fn has(&self, output: &str) -> bool {
        self.by_name.iter().find(|(name, _)| name == output).map_or(self.by_default, |(_, binary)| *binary)
    }
}

impl<'body> Header<'body> {
    /// Reads it.
    ///
    /// # Errors
    /// When it is no request for inference, or asks for what the gateway does not have.
    pub(crate) fn read(json: &'body [u8]) -> Result<Self, Refusal> {
        let header: Self = serde_json::from_slice(json)
            .map_err(|error| Refusal::invalid(format!("undecodable JSON: {error}")))?;
        let options = [&header.parameters]
            .into_iter()
            .chain(header.inputs.iter().map(|input| &input.parameters))
            .chain(header.outputs.iter().flatten().map(|output| &output.parameters));
        for option in options.flat_map(Parameters::keys) {
            if UNSUPPORTED.contains(&option.as_str()) {
                return Err(Refusal::invalid(format!("the parameter {option:?} is not supported")));
            }
        }
        Ok(header)
    }

    /// The request for a worker, with these tensors and without what is the gateway's own affair.
    pub(crate) fn into_request(self, inputs: Vec<Tensor>) -> Result<(InferRequest, BinaryOutputs), Refusal> {
        let Self { id, deadline_ms, mut parameters, outputs, .. } = self;
        if let Some(deadline_ms) = deadline_ms {
            InferRequest::check_deadline(deadline_ms)?;
        }
        let mut binary = BinaryOutputs {
            by_default: flag(&parameters, BINARY_OUTPUT)?.unwrap_or(false),
            by_name: Vec::new(),
        };
        parameters.remove(BINARY_OUTPUT);
        for output in outputs.iter().flatten() {
            if let Some(is_binary) = flag(&output.parameters, BINARY)? {
                binary.by_name.push((output.name.clone(), is_binary));
            }
        }
        let asked =
            |output: HeaderOutput| RequestedOutput { name: output.name, parameters: Parameters::new() };
        let outputs: Option<Vec<RequestedOutput>> =
            outputs.map(|outputs| outputs.into_iter().map(asked).collect());
        let outputs = outputs.filter(|outputs| !outputs.is_empty());
        let body = RequestBody::Tensors { inputs, outputs };
        Ok((InferRequest { id, deadline_ms, parameters, body }, binary))
    }
}

impl HeaderInput<'_> {
    /// How many bytes of this input stand behind the JSON; none when its data stand in it.
    ///
    /// # Errors
    /// When the size is no whole number, or there are data too.
    pub(crate) fn binary_size(&self) -> Result<Option<usize>, Refusal> {
        let Some(size) = self.parameters.get(BINARY_SIZE) else { return Ok(None) };
        let size = match size {
            Scalar::Integer(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        let size = size.ok_or_else(|| self.wrong("binary_data_size is no whole number from 0"))?;
        if self.data.is_some() {
            Err(self.wrong("it has both data and binary_data_size"))
        } else {
            Ok(Some(size))
        }
    }

    /// The tensor of the data in the JSON, read by the reader of the contract.
    ///
    /// # Errors
    /// When there are no data, or not such data.
    pub(crate) fn tensor(&self) -> Result<Tensor, Refusal> {
        let data = self.data.ok_or_else(|| self.wrong("it has neither data nor binary_data_size"))?;
        #[derive(serde::Serialize)]
        struct One<'a> {
            inputs: [Input<'a>; 1],
        }
        #[derive(serde::Serialize)]
        struct Input<'a> {
            name: &'a str,
            datatype: Datatype,
            shape: &'a [usize],
            data: &'a RawValue,
        }
        let datatype = self.datatype.element()?;
        let input = Input { name: &self.name, datatype, shape: &self.shape, data };
        let written = serde_json::to_vec(&One { inputs: [input] });
        let written = written.map_err(|error| Refusal::internal(error.to_string()))?;
        match InferRequest::decode(&written)?.0.body {
            RequestBody::Tensors { inputs, .. } => inputs.into_iter().next(),
            RequestBody::Instances(_) => None,
        }
        .ok_or_else(|| self.wrong("it has no data"))
    }

    pub(crate) fn wrong(&self, reason: impl std::fmt::Display) -> Refusal {
        let name: String = self.name.chars().take(64).collect();
        Refusal::invalid(format!("invalid tensor {name:?}: {reason}"))
    }
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, Refusal> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Scalar::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(Refusal::invalid(format!("the parameter {name:?} is {other}, not true or false"))),
    }
}
