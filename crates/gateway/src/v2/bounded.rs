//! Lists and maps of JSON that end before they fill the memory.

use std::fmt;
use std::marker::PhantomData;

use leat_contract::{Parameters, Scalar, limits};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// At most as many entries as a request may have tensors.
pub(super) fn tensors<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(List { most: limits::TENSORS_MAX, entry: PhantomData })
}

/// The same for a list that may be absent.
pub(super) fn some_tensors<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    tensors(deserializer).map(Some)
}

/// At most as many entries as a tensor may have dimensions.
pub(super) fn dimensions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    deserializer.deserialize_seq(List { most: limits::DIMENSIONS_MAX, entry: PhantomData })
}

/// At most as many parameters as the contract allows.
pub(super) fn parameters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
    deserializer.deserialize_map(Map)
}

struct List<T> {
    most: usize,
    entry: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {} entries", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == self.most {
                return Err(A::Error::invalid_length(self.most + 1, &self));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = Parameters;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object of at most {} parameters", limits::PARAMETERS_MAX)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::new();
        while let Some((name, value)) = map.next_entry::<String, Scalar>()? {
            parameters.insert(name, value);
            if parameters.len() > limits::PARAMETERS_MAX {
                return Err(A::Error::invalid_length(parameters.len(), &self));
            }
        }
        Ok(parameters)
    }
}
