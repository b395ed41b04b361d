use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use super::Bin;
use crate::{Encoding, Error, Mask, Tensor};

/// A tensor: its shape and a map of one entry, from the name of the encoding to its parts.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weights<'a> {
    shape: Vec<u64>,
    #[serde(borrow)]
    encoding: Stored<'a>,
}

/// See [`Encoding`] for the meaning of the bytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Stored<'a> {
    F32 {
        #[serde(borrow)]
        data: Bin<'a>,
    },
    F16 {
        #[serde(borrow)]
        data: Bin<'a>,
    },
    Bf16 {
        #[serde(borrow)]
        data: Bin<'a>,
    },
    Int8 {
        #[serde(borrow)]
        data: Bin<'a>,
        #[serde(borrow)]
        scales: Bin<'a>,
    },
    Int4 {
        #[serde(borrow)]
        data: Bin<'a>,
        #[serde(borrow)]
        scales: Bin<'a>,
    },
    Sparse {
        #[serde(borrow)]
        mask: Bin<'a>,
        #[serde(borrow)]
        data: Bin<'a>,
    },
    Codebook {
        #[serde(borrow)]
        centroids: Bin<'a>,
        #[serde(borrow)]
        data: Bin<'a>,
    },
}

impl<'a> From<&'a Tensor> for Weights<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self {
            shape: tensor.shape.iter().map(|length| *length as u64).collect(),
            encoding: Stored::from(&tensor.encoding),
        }
    }
}

impl<'a> From<&'a Encoding> for Stored<'a> {
    fn from(encoding: &'a Encoding) -> Self {
        match encoding {
            Encoding::F32(values) => Self::F32 { data: Bin::from_f32(values) },
            Encoding::F16(values) => {
                Self::F16 { data: Bin::from_words(values.iter().map(|value| value.to_le_bytes())) }
            }
            Encoding::Bf16(values) => {
                Self::Bf16 { data: Bin::from_words(values.iter().map(|value| value.to_le_bytes())) }
            }
            Encoding::Int8 { codes, scales } => Self::Int8 {
                data: Bin::from_words(codes.iter().map(|code| code.to_le_bytes())),
                scales: Bin::from_f32(scales),
            },
            Encoding::Int4 { packed, scales } => {
                Self::Int4 { data: Bin::borrowed(packed), scales: Bin::from_f32(scales) }
            }
            Encoding::Sparse { mask, values } => {
                Self::Sparse { mask: Bin::borrowed(&mask.bits), data: Bin::from_f32(values) }
            }
            Encoding::Codebook { centroids, packed } => {
                Self::Codebook { centroids: Bin::from_f32(centroids), data: Bin::borrowed(packed) }
            }
        }
    }
}

impl TryFrom<Weights<'_>> for Tensor {
    type Error = Error;

    fn try_from(weights: Weights<'_>) -> Result<Self, Error> {
        let shape = weights.shape.iter().map(|length| usize::try_from(*length).unwrap_or(usize::MAX));
        let mut tensor = Self::f32(shape.collect(), Vec::new());
        tensor.encoding = weights.encoding.into_encoding(tensor.len())?;
        Ok(tensor)
    }
}

impl Stored<'_> {
    /// `len` is how many values the shape holds.
    fn into_encoding(self, len: usize) -> Result<Encoding, Error> {
        Ok(match self {
            Self::F32 { data } => Encoding::F32(data.f32_at("data")?),
            Self::F16 { data } => Encoding::F16(data.words_at("data", f16::from_le_bytes)?),
            Self::Bf16 { data } => Encoding::Bf16(data.words_at("data", bf16::from_le_bytes)?),
            Self::Int8 { data, scales } => Encoding::Int8 {
                codes: data.words_at("data", i8::from_le_bytes)?,
                scales: scales.f32_at("scales")?,
            },
            Self::Int4 { data, scales } => {
                Encoding::Int4 { packed: data.into_bytes(), scales: scales.f32_at("scales")? }
            }
            Self::Sparse { mask, data } => {
                Encoding::Sparse { mask: Mask { len, bits: mask.into_bytes() }, values: data.f32_at("data")? }
            }
            Self::Codebook { centroids, data } => {
                Encoding::Codebook { centroids: centroids.f32_at("centroids")?, packed: data.into_bytes() }
            }
        })
    }
}
