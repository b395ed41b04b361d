//! One tensor, its fields in any order.

use std::{convert::Infallible, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{
    super::{
        Datatype, Parameters, Tensor, TensorData,
        bin::elements,
        element::{Binary, Element, Untyped},
        tensor::{describe, element_count},
    },
    admission::{Admission, Budget},
    array::{Data, DataSeed, Elements},
    bounded::{ListSeed, ParametersSeed, too_many},
};
use crate::{Error, limits};

/// A list of tensors with different names.
pub(super) struct TensorsSeed<'admission>(pub(super) &'admission Admission, pub(super) Sender);

impl<'de> DeserializeSeed<'de> for TensorsSeed<'_> {
    type Value = Vec<Tensor>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Tensor>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TensorsSeed<'_> {
    type Value = Vec<Tensor>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of tensors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Tensor>, A::Error> {
        let mut tensors: Vec<Tensor> = Vec::new();
        while let Some(tensor) = list.next_element_seed(TensorSeed(self.0, self.1))? {
            if tensors.len() == limits::TENSORS_MAX {
                return Err(self.0.refuse(too_many("number of tensors", limits::TENSORS_MAX)));
            }
            if tensors.iter().any(|other| other.name == tensor.name) {
                return Err(self.0.refuse(Error::invalid(describe(&tensor.name), "the name stands twice")));
            }
            tensors.push(tensor);
        }
        if tensors.is_empty() {
            return Err(self.0.refuse(Error::invalid("tensors", "the list is empty")));
        }
        Ok(tensors)
    }
}

struct TensorSeed<'admission>(&'admission Admission, Sender);

impl<'de> DeserializeSeed<'de> for TensorSeed<'_> {
    type Value = Tensor;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tensor, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// Who sent the tensors, hence what an unknown field is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Perhaps a person: a misspelt field must be an error.
    Producer,
    /// Perhaps a newer worker: what it adds is passed over.
    Worker,
}

#[derive(Clone, Copy)]
enum Field {
    Name,
    Datatype,
    Shape,
    Parameters,
    Data,
    Unknown,
}

struct FieldSeed(Sender);

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Field, E> {
        match name {
            "name" => Ok(Field::Name),
            "datatype" => Ok(Field::Datatype),
            "shape" => Ok(Field::Shape),
            "parameters" => Ok(Field::Parameters),
            "data" => Ok(Field::Data),
            _ if self.0 == Sender::Worker => Ok(Field::Unknown),
            _ => Err(E::unknown_field(name, &["name", "datatype", "shape", "parameters", "data"])),
        }
    }
}

/// Data as it was met: with its type, or before it.
enum Met {
    Typed(TensorData, Vec<usize>),
    Untyped(Data<Untyped, Vec<u8>>),
}

impl<'de> Visitor<'de> for TensorSeed<'_> {
    type Value = Tensor;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a tensor: a map of name, datatype, shape, data and perhaps parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensor, A::Error> {
        let admission = self.0;
        let (mut name, mut datatype, mut shape, mut parameters, mut data) = (None, None, None, None, None);
        while let Some(field) = map.next_key_seed(FieldSeed(self.1))? {
            match field {
                Field::Name => set(&mut name, "name", map.next_value::<String>()?)?,
                Field::Datatype => {
                    set(&mut datatype, "datatype", map.next_value_seed(DatatypeSeed(admission))?)?
                }
                Field::Shape => {
                    let seed =
                        ListSeed::<usize>::new(admission, "number of dimensions", limits::DIMENSIONS_MAX);
                    set(&mut shape, "shape", map.next_value_seed(seed)?)?;
                }
                Field::Parameters => {
                    set(&mut parameters, "parameters", map.next_value_seed(ParametersSeed(admission))?)?;
                }
                Field::Data => set(&mut data, "data", read_data(&mut map, admission, datatype)?)?,
                Field::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing = <A::Error as de::Error>::missing_field;
        let name = name.ok_or_else(|| missing("name"))?;
        let datatype = datatype.ok_or_else(|| missing("datatype"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        let data = data.ok_or_else(|| missing("data"))?;
        let parts = Parts { name, datatype, shape, parameters: parameters.unwrap_or_default() };
        parts.join(data).map_err(|error| admission.refuse(error))
    }
}

/// Sets a field once.
pub(super) fn set<T, E: de::Error>(slot: &mut Option<T>, field: &'static str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(field)),
    }
}

struct DatatypeSeed<'admission>(&'admission Admission);

impl<'de> DeserializeSeed<'de> for DatatypeSeed<'_> {
    type Value = Datatype;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Datatype, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for DatatypeSeed<'_> {
    type Value = Datatype;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a datatype such as \"FP32\"")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Datatype, E> {
        value.parse().map_err(|error| self.0.refuse(error))
    }
}

fn read_data<'de, A: MapAccess<'de>>(
    map: &mut A,
    admission: &Admission,
    datatype: Option<Datatype>,
) -> Result<Met, A::Error> {
    let Some(datatype) = datatype else {
        let seed = DataSeed::<Untyped, _>::new(admission, Budget::Texts, |bytes: &[u8]| Ok(bytes.to_vec()));
        return map.next_value_seed(seed).map(Met::Untyped);
    };
    match datatype {
        Datatype::Bool => read_numbers(map, admission, TensorData::Bool),
        Datatype::Uint8 => read_numbers(map, admission, TensorData::Uint8),
        Datatype::Uint16 => read_numbers(map, admission, TensorData::Uint16),
        Datatype::Uint32 => read_numbers(map, admission, TensorData::Uint32),
        Datatype::Uint64 => read_numbers(map, admission, TensorData::Uint64),
        Datatype::Int8 => read_numbers(map, admission, TensorData::Int8),
        Datatype::Int16 => read_numbers(map, admission, TensorData::Int16),
        Datatype::Int32 => read_numbers(map, admission, TensorData::Int32),
        Datatype::Int64 => read_numbers(map, admission, TensorData::Int64),
        Datatype::Fp32 => read_numbers(map, admission, TensorData::Fp32),
        Datatype::Fp64 => read_numbers(map, admission, TensorData::Fp64),
        Datatype::Bytes => {
            let seed = DataSeed::<String, _>::new(admission, Budget::Texts, refuse_bytes);
            match map.next_value_seed(seed)? {
                Data::Array(elements) => Ok(Met::Typed(TensorData::Bytes(elements.values), elements.nested)),
                Data::Bytes(never) => match never {},
            }
        }
    }
}

fn read_numbers<'de, A: MapAccess<'de>, T: Binary>(
    map: &mut A,
    admission: &Admission,
    wrap: fn(Vec<T>) -> TensorData,
) -> Result<Met, A::Error> {
    let seed = DataSeed::<T, _>::new(admission, Budget::Numbers, elements::<T>);
    match map.next_value_seed(seed)? {
        Data::Array(Elements { values, nested }) => Ok(Met::Typed(wrap(values), nested)),
        Data::Bytes(values) => {
            admission.take(Budget::Numbers, values.len())?;
            Ok(Met::Typed(wrap(values), Vec::new()))
        }
    }
}

fn refuse_bytes(_: &[u8]) -> Result<Infallible, Error> {
    Err(Error::invalid("data", "BYTES has no binary form, send an array of strings"))
}

/// A tensor without its data.
struct Parts {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    parameters: Parameters,
}

impl Parts {
    fn join(self, met: Met) -> Result<Tensor, Error> {
        element_count(&self.name, &self.shape)?;
        let (data, nested) = match met {
            Met::Typed(data, nested) => (data, nested),
            Met::Untyped(data) => typed(data, self.datatype)?,
        };
        let is_nested = nested.len() > 1;
        if is_nested && nested != self.shape {
            let reason = format!("shape {:?} is declared, the nested arrays have {nested:?}", self.shape);
            return Err(Error::invalid(describe(&self.name), reason));
        }
        let Self { name, shape, parameters, .. } = self;
        let tensor = Tensor { name, shape, data, parameters };
        tensor.validate()?;
        Ok(tensor)
    }
}

/// Data that came before its datatype.
fn typed(data: Data<Untyped, Vec<u8>>, datatype: Datatype) -> Result<(TensorData, Vec<usize>), Error> {
    Ok(match datatype {
        Datatype::Bool => convert(data, TensorData::Bool)?,
        Datatype::Uint8 => convert(data, TensorData::Uint8)?,
        Datatype::Uint16 => convert(data, TensorData::Uint16)?,
        Datatype::Uint32 => convert(data, TensorData::Uint32)?,
        Datatype::Uint64 => convert(data, TensorData::Uint64)?,
        Datatype::Int8 => convert(data, TensorData::Int8)?,
        Datatype::Int16 => convert(data, TensorData::Int16)?,
        Datatype::Int32 => convert(data, TensorData::Int32)?,
        Datatype::Int64 => convert(data, TensorData::Int64)?,
        Datatype::Fp32 => convert(data, TensorData::Fp32)?,
        Datatype::Fp64 => convert(data, TensorData::Fp64)?,
        Datatype::Bytes => match data {
            Data::Array(elements) => (TensorData::Bytes(typed_values(elements.values)?), elements.nested),
            Data::Bytes(bytes) => match refuse_bytes(&bytes)? {},
        },
    })
}

fn convert<T: Binary>(
    data: Data<Untyped, Vec<u8>>,
    wrap: fn(Vec<T>) -> TensorData,
) -> Result<(TensorData, Vec<usize>), Error> {
    match data {
        Data::Array(elements) => Ok((wrap(typed_values(elements.values)?), elements.nested)),
        Data::Bytes(bytes) => Ok((wrap(elements(&bytes)?), Vec::new())),
    }
}

fn typed_values<T: Element>(values: Vec<Untyped>) -> Result<Vec<T>, Error> {
    let typed = values.into_iter().map(Untyped::typed).collect::<Result<_, _>>();
    typed.map_err(|found| Error::invalid("data", format!("expected {}, found {found}", T::NAME)))
}
