//! `#[serde(with = "leat_model::messagepack::f32_bytes")]` for a `Vec<f32>` that is stored as one `bin`: little-endian,
//! 4 bytes a value, instead of 5 in an array.

use serde::{Deserializer, Serializer, de};

use crate::blob::Bin;

/// Writes the values as bytes.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&Bin::from_f32(values), serializer)
}

/// Reads the values back.
///
/// # Errors
/// When there are no bytes, or not a multiple of four.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let bytes: Bin<'de> = serde::Deserialize::deserialize(deserializer)?;
    bytes.to_f32().ok_or_else(|| de::Error::custom("length of f32 values is not a multiple of 4"))
}
