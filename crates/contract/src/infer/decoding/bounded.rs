//! Short lists and maps that end with a refusal instead of growing.

use std::{fmt, marker::PhantomData};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{super::Parameters, admission::Admission};
use crate::{Error, limits};

/// A list of at most so many values.
pub(super) struct ListSeed<'admission, T> {
    pub(super) admission: &'admission Admission,
    pub(super) what: &'static str,
    pub(super) limit: usize,
    element: PhantomData<T>,
}

impl<'admission, T> ListSeed<'admission, T> {
    pub(super) fn new(admission: &'admission Admission, what: &'static str, limit: usize) -> Self {
        Self { admission, what, limit, element: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for ListSeed<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListSeed<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            if values.len() == self.limit {
                return Err(self.admission.refuse(too_many(self.what, self.limit)));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// A `parameters` map.
pub(super) struct ParametersSeed<'admission>(pub(super) &'admission Admission);

impl<'de> DeserializeSeed<'de> for ParametersSeed<'_> {
    type Value = Parameters;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parameters, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParametersSeed<'_> {
    type Value = Parameters;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of strings, numbers and booleans")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Parameters, E> {
        Ok(Parameters::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::new();
        while let Some((name, value)) = map.next_entry::<String, _>()? {
            if parameters.len() == limits::PARAMETERS_MAX {
                return Err(self.0.refuse(too_many("number of parameters", limits::PARAMETERS_MAX)));
            }
            if parameters.contains_key(&name) {
                let start: String = name.chars().take(64).collect();
                return Err(self.0.refuse(Error::invalid("parameters", format!("{start:?} is there twice"))));
            }
            parameters.insert(name, value);
        }
        Ok(parameters)
    }
}

pub(super) fn too_many(what: &'static str, limit: usize) -> Error {
    Error::TooLarge { what, found: limit as u64 + 1, limit: limit as u64 }
}
