//! What the raw bytes of a tensor are: an element type of the contract, or a half-precision one, which is widened here. As in Triton, halves
//! have no form in JSON or in typed contents.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};
use leat_contract::{Datatype, TensorData};
use serde::Deserialize;

use crate::refusal::Refusal;

/// The type of raw elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum RawType {
    Element(Datatype),
    /// IEEE 754 binary16.
    Fp16,
    /// The upper half of binary32.
    Bf16,
}

impl RawType {
    /// The bytes of one element, none for BYTES.
    pub(crate) const fn element_bytes(self) -> Option<usize> {
        match self {
            Self::Element(datatype) => datatype.element_bytes(),
            Self::Fp16 | Self::Bf16 => Some(2),
        }
    }

    /// The type of elements that do not come as raw bytes.
    ///
    /// # Errors
    /// For halves.
    pub(crate) fn element(self) -> Result<Datatype, Refusal> {
        match self {
            Self::Element(datatype) => Ok(datatype),
            half => Err(Refusal::invalid(format!("{half} comes as raw bytes only, not as JSON or contents"))),
        }
    }

    /// Elements from raw bytes: halves become FP32, which holds each of their values.
    ///
    /// # Errors
    /// As [`TensorData::from_bin`].
    pub(crate) fn read(self, bytes: &[u8]) -> Result<TensorData, Refusal> {
        let widened = |widen: fn([u8; 2]) -> f32| -> Result<Vec<f32>, Refusal> {
            let (halves, rest) = bytes.as_chunks::<2>();
            let reason =
                || format!("{} bytes are no whole number of {self} elements of 2 bytes", bytes.len());
            if rest.is_empty() {
                Ok(halves.iter().copied().map(widen).collect())
            } else {
                Err(Refusal::invalid(reason()))
            }
        };
        Ok(match self {
            Self::Element(datatype) => TensorData::from_bin(datatype, bytes)?,
            Self::Fp16 => TensorData::Fp32(widened(|bytes| f16::from_le_bytes(bytes).to_f32())?),
            Self::Bf16 => TensorData::Fp32(widened(|bytes| bf16::from_le_bytes(bytes).to_f32())?),
        })
    }
}

impl From<Datatype> for RawType {
    fn from(datatype: Datatype) -> Self {
        Self::Element(datatype)
    }
}

impl FromStr for RawType {
    type Err = leat_contract::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "FP16" => Ok(Self::Fp16),
            "BF16" => Ok(Self::Bf16),
            element => element.parse().map(Self::Element),
        }
    }
}

impl TryFrom<String> for RawType {
    type Error = leat_contract::Error;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl fmt::Display for RawType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(datatype) => datatype.fmt(formatter),
            Self::Fp16 => formatter.pad("FP16"),
            Self::Bf16 => formatter.pad("BF16"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Vec<f32> {
        let TensorData::Fp32(values) = name.parse::<RawType>().unwrap().read(bytes).unwrap() else {
            panic!("{name} is not widened")
        };
        values
    }

    #[test]
    fn halves_are_widened_without_change() {
        // 1, -2, the largest, the smallest subnormal.
        let halves = [0x3c00_u16, 0xc000, 0x7bff, 0x0001].map(u16::to_le_bytes).concat();
        assert_eq!(read("FP16", &halves), [1.0, -2.0, 65504.0, 2.0_f32.powi(-24)]);
        let halves = [0x3f80_u16, 0xc000, 0x7f7f].map(u16::to_le_bytes).concat();
        assert_eq!(read("BF16", &halves), [1.0, -2.0, f32::from_bits(0x7f7f_0000)]);
        assert!(read("FP16", &0x7e00_u16.to_le_bytes())[0].is_nan());
    }

    #[test]
    fn halves_are_raw_bytes_only_and_whole() {
        assert!(RawType::Fp16.read(&[0; 3]).is_err());
        assert!(RawType::Bf16.element().is_err());
        assert_eq!("INT8".parse::<RawType>().unwrap().element().unwrap(), Datatype::Int8);
        assert!("FP8".parse::<RawType>().is_err());
    }
}
