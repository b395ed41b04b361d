use std::ops::Range;

use serde::{Serialize, Serializer, ser::Error as _};

use super::{Datatype, element::Binary, short_reply::Nested};
use crate::Error;

/// The elements of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// BOOL.
    Bool(Vec<bool>),
    /// UINT8.
    Uint8(Vec<u8>),
    /// UINT16.
    Uint16(Vec<u16>),
    /// UINT32.
    Uint32(Vec<u32>),
    /// UINT64.
    Uint64(Vec<u64>),
    /// INT8.
    Int8(Vec<i8>),
    /// INT16.
    Int16(Vec<i16>),
    /// INT32.
    Int32(Vec<i32>),
    /// INT64.
    Int64(Vec<i64>),
    /// FP32. NaN stands for a missing value and is written as null in JSON.
    Fp32(Vec<f32>),
    /// FP64. NaN stands for a missing value and is written as null in JSON.
    Fp64(Vec<f64>),
    /// BYTES.
    Bytes(Vec<String>),
}

/// Runs one expression for whichever element type it is.
macro_rules! for_any_type {
    ($data:expr, $values:ident => $expression:expr) => {
        match $data {
            TensorData::Bool($values) => $expression,
            TensorData::Uint8($values) => $expression,
            TensorData::Uint16($values) => $expression,
            TensorData::Uint32($values) => $expression,
            TensorData::Uint64($values) => $expression,
            TensorData::Int8($values) => $expression,
            TensorData::Int16($values) => $expression,
            TensorData::Int32($values) => $expression,
            TensorData::Int64($values) => $expression,
            TensorData::Fp32($values) => $expression,
            TensorData::Fp64($values) => $expression,
            TensorData::Bytes($values) => $expression,
        }
    };
}

impl TensorData {
    /// The type of the elements.
    pub const fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Uint16(_) => Datatype::Uint16,
            Self::Uint32(_) => Datatype::Uint32,
            Self::Uint64(_) => Datatype::Uint64,
            Self::Int8(_) => Datatype::Int8,
            Self::Int16(_) => Datatype::Int16,
            Self::Int32(_) => Datatype::Int32,
            Self::Int64(_) => Datatype::Int64,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Fp64(_) => Datatype::Fp64,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        for_any_type!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as FP32: numbers rounded to the nearest, truth values as 0 and 1. FP32 itself is not copied.
    ///
    /// # Errors
    /// [`Error::Invalid`] for BYTES and for FP64 values beyond the range of FP32.
    pub fn into_fp32(self) -> Result<Vec<f32>, Error> {
        Ok(match self {
            Self::Fp32(values) => values,
            Self::Bool(values) => values.into_iter().map(|value| f32::from(u8::from(value))).collect(),
            Self::Uint8(values) => values.into_iter().map(f32::from).collect(),
            Self::Uint16(values) => values.into_iter().map(f32::from).collect(),
            Self::Uint32(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Uint64(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Int8(values) => values.into_iter().map(f32::from).collect(),
            Self::Int16(values) => values.into_iter().map(f32::from).collect(),
            Self::Int32(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Int64(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Fp64(values) => values.into_iter().map(narrow).collect::<Result<_, _>>()?,
            Self::Bytes(_) => return Err(Error::invalid("datatype", "expected numbers, found BYTES")),
        })
    }

    /// The elements in `bin` form, none for BYTES.
    pub(super) fn to_binary(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Bool(values) => Binary::to_bytes(values),
            Self::Uint8(values) => values.clone(),
            Self::Uint16(values) => Binary::to_bytes(values),
            Self::Uint32(values) => Binary::to_bytes(values),
            Self::Uint64(values) => Binary::to_bytes(values),
            Self::Int8(values) => Binary::to_bytes(values),
            Self::Int16(values) => Binary::to_bytes(values),
            Self::Int32(values) => Binary::to_bytes(values),
            Self::Int64(values) => Binary::to_bytes(values),
            Self::Fp32(values) => Binary::to_bytes(values),
            Self::Fp64(values) => Binary::to_bytes(values),
            Self::Bytes(_) => return None,
        })
    }

    /// A copy of the elements in a range that lies within.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Bool(values) => Self::Bool(part(values, range)),
            Self::Uint8(values) => Self::Uint8(part(values, range)),
            Self::Uint16(values) => Self::Uint16(part(values, range)),
            Self::Uint32(values) => Self::Uint32(part(values, range)),
            Self::Uint64(values) => Self::Uint64(part(values, range)),
            Self::Int8(values) => Self::Int8(part(values, range)),
            Self::Int16(values) => Self::Int16(part(values, range)),
            Self::Int32(values) => Self::Int32(part(values, range)),
            Self::Int64(values) => Self::Int64(part(values, range)),
            Self::Fp32(values) => Self::Fp32(part(values, range)),
            Self::Fp64(values) => Self::Fp64(part(values, range)),
            Self::Bytes(values) => Self::Bytes(part(values, range)),
        }
    }

    /// Puts the elements of another behind its own; gives false and changes nothing when they are of another type.
    pub(super) fn append(&mut self, other: Self) -> bool {
        match (self, other) {
            (Self::Bool(values), Self::Bool(mut more)) => values.append(&mut more),
            (Self::Uint8(values), Self::Uint8(mut more)) => values.append(&mut more),
            (Self::Uint16(values), Self::Uint16(mut more)) => values.append(&mut more),
            (Self::Uint32(values), Self::Uint32(mut more)) => values.append(&mut more),
            (Self::Uint64(values), Self::Uint64(mut more)) => values.append(&mut more),
            (Self::Int8(values), Self::Int8(mut more)) => values.append(&mut more),
            (Self::Int16(values), Self::Int16(mut more)) => values.append(&mut more),
            (Self::Int32(values), Self::Int32(mut more)) => values.append(&mut more),
            (Self::Int64(values), Self::Int64(mut more)) => values.append(&mut more),
            (Self::Fp32(values), Self::Fp32(mut more)) => values.append(&mut more),
            (Self::Fp64(values), Self::Fp64(mut more)) => values.append(&mut more),
            (Self::Bytes(values), Self::Bytes(mut more)) => values.append(&mut more),
            _ => return false,
        }
        true
    }

    /// Writes one row as arrays nested to its shape.
    pub(super) fn serialize_row<S: Serializer>(
        &self,
        row: usize,
        shape: &[usize],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let length = shape.iter().product::<usize>();
        let range = row.saturating_mul(length)..row.saturating_add(1).saturating_mul(length);
        for_any_type!(self, values => {
            let values = values.get(range).ok_or_else(|| S::Error::custom("a row lies beyond the data"))?;
            Nested { values, shape }.serialize(serializer)
        })
    }
}

fn part<T: Clone>(values: &[T], range: Range<usize>) -> Vec<T> {
    values.get(range).unwrap_or_default().to_vec()
}

fn narrow(value: f64) -> Result<f32, Error> {
    use super::element::Element;
    f32::from_double(value).map_err(|found| Error::invalid("data", format!("expected FP32, found {found}")))
}

/// Flat and row-major: an array in JSON, `bin` in MessagePack (an array of strings for BYTES).
impl Serialize for TensorData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable()
            && let Some(bytes) = self.to_binary()
        {
            return serializer.serialize_bytes(&bytes);
        }
        for_any_type!(self, values => values.serialize(serializer))
    }
}
