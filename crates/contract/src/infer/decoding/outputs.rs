//! Which outputs a request asks for.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    super::RequestedOutput,
    admission::Admission,
    bounded::{ParametersSeed, too_many},
    tensor::set,
};
use crate::limits;

/// The list of outputs.
pub(super) struct OutputsSeed<'admission>(pub(super) &'admission Admission);

impl<'de> DeserializeSeed<'de> for OutputsSeed<'_> {
    type Value = Vec<RequestedOutput>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OutputsSeed<'_> {
    type Value = Vec<RequestedOutput>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of outputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut outputs = Vec::new();
        while let Some(output) = list.next_element_seed(OutputSeed(self.0))? {
            if outputs.len() == limits::TENSORS_MAX {
                return Err(self.0.refuse(too_many("number of outputs", limits::TENSORS_MAX)));
            }
            outputs.push(output);
        }
        Ok(outputs)
    }
}

struct OutputSeed<'admission>(&'admission Admission);

impl<'de> DeserializeSeed<'de> for OutputSeed<'_> {
    type Value = RequestedOutput;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RequestedOutput, D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Name,
    Parameters,
}

impl<'de> Visitor<'de> for OutputSeed<'_> {
    type Value = RequestedOutput;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an output with its `name`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RequestedOutput, A::Error> {
        let (mut name, mut parameters) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Name => set(&mut name, "name", map.next_value()?)?,
                Field::Parameters => {
                    set(&mut parameters, "parameters", map.next_value_seed(ParametersSeed(self.0))?)?;
                }
            }
        }
        let name = name.ok_or_else(|| de::Error::missing_field("name"))?;
        Ok(RequestedOutput { name, parameters: parameters.unwrap_or_default() })
    }
}
