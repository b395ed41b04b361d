//! Requests and replies, their fields in any order, unknown fields of a request refused.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{
    super::{InferRequest, InferResponse, Instances, Parameters, RequestBody, RequestedOutput, Tensor},
    admission::Admission,
    bounded::ParametersSeed,
    instances::InstancesSeed,
    outputs::OutputsSeed,
    tensor::{Sender, TensorsSeed, set},
};
use crate::{Error, ModelName, ModelVersion, RequestId};

pub(super) struct RequestSeed<'admission>(pub(super) &'admission Admission);

impl<'de> DeserializeSeed<'de> for RequestSeed<'_> {
    type Value = InferRequest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<InferRequest, D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum RequestField {
    Id,
    DeadlineMs,
    Parameters,
    Inputs,
    Outputs,
    Instances,
}

impl<'de> Visitor<'de> for RequestSeed<'_> {
    type Value = InferRequest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map with `inputs` or `instances`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InferRequest, A::Error> {
        let admission = self.0;
        let mut fields = RequestFields::default();
        while let Some(field) = map.next_key()? {
            match field {
                RequestField::Id => set(&mut fields.id, "id", map.next_value()?)?,
                RequestField::DeadlineMs => set(&mut fields.deadline_ms, "deadline_ms", map.next_value()?)?,
                RequestField::Parameters => {
                    set(
                        &mut fields.parameters,
                        "parameters",
                        map.next_value_seed(ParametersSeed(admission))?,
                    )?;
                }
                RequestField::Inputs => set(
                    &mut fields.inputs,
                    "inputs",
                    map.next_value_seed(TensorsSeed(admission, Sender::Producer))?,
                )?,
                RequestField::Outputs => {
                    set(&mut fields.outputs, "outputs", map.next_value_seed(OutputsSeed(admission))?)?;
                }
                RequestField::Instances => {
                    set(&mut fields.instances, "instances", map.next_value_seed(InstancesSeed(admission))?)?;
                }
            }
        }
        fields.join().map_err(|error| admission.refuse(error))
    }
}

#[derive(Default)]
struct RequestFields {
    id: Option<Option<RequestId>>,
    deadline_ms: Option<Option<u64>>,
    parameters: Option<Parameters>,
    inputs: Option<Vec<Tensor>>,
    outputs: Option<Vec<RequestedOutput>>,
    instances: Option<Instances>,
}

impl RequestFields {
    fn join(self) -> Result<InferRequest, Error> {
        let deadline_ms = self.deadline_ms.flatten();
        deadline_ms.map_or(Ok(()), InferRequest::check_deadline)?;
        let body = match (self.inputs, self.instances) {
            (Some(inputs), None) => RequestBody::Tensors { inputs, outputs: self.outputs },
            (None, Some(_)) if self.outputs.is_some() => {
                return Err(Error::invalid(
                    "outputs",
                    "they can be chosen only with `inputs`, not with `instances`",
                ));
            }
            (None, Some(instances)) => RequestBody::Instances(instances),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("request", "it has both `inputs` and `instances`"));
            }
            (None, None) => return Err(Error::invalid("request", "it has neither `inputs` nor `instances`")),
        };
        Ok(InferRequest {
            id: self.id.flatten(),
            deadline_ms,
            parameters: self.parameters.unwrap_or_default(),
            body,
        })
    }
}

pub(super) struct ResponseSeed<'admission>(pub(super) &'admission Admission);

impl<'de> DeserializeSeed<'de> for ResponseSeed<'_> {
    type Value = InferResponse;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<InferResponse, D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ResponseField {
    Id,
    ModelName,
    ModelVersion,
    Parameters,
    Outputs,
    #[serde(other)]
    Unknown,
}

impl<'de> Visitor<'de> for ResponseSeed<'_> {
    type Value = InferResponse;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map with `model_name`, `model_version` and `outputs`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InferResponse, A::Error> {
        let admission = self.0;
        let (mut id, mut model_name, mut model_version) = (None, None, None);
        let (mut parameters, mut outputs) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                ResponseField::Id => set(&mut id, "id", map.next_value::<Option<RequestId>>()?)?,
                ResponseField::ModelName => {
                    set(&mut model_name, "model_name", map.next_value::<ModelName>()?)?
                }
                ResponseField::ModelVersion => {
                    let version = map.next_value::<String>()?.parse::<ModelVersion>();
                    set(
                        &mut model_version,
                        "model_version",
                        version.map_err(|error| admission.refuse(error))?,
                    )?;
                }
                ResponseField::Parameters => {
                    set(&mut parameters, "parameters", map.next_value_seed(ParametersSeed(admission))?)?;
                }
                ResponseField::Outputs => set(
                    &mut outputs,
                    "outputs",
                    map.next_value_seed(TensorsSeed(admission, Sender::Worker))?,
                )?,
                ResponseField::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing = <A::Error as de::Error>::missing_field;
        Ok(InferResponse {
            id: id.flatten(),
            model_name: model_name.ok_or_else(|| missing("model_name"))?,
            model_version: model_version.ok_or_else(|| missing("model_version"))?,
            parameters: parameters.unwrap_or_default(),
            outputs: outputs.ok_or_else(|| missing("outputs"))?,
        })
    }
}
