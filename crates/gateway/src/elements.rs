//! BYTES in the raw form of the Open Inference Protocol: each element behind its length as 32 bits, little-endian.

use leat_contract::{Datatype, Tensor, TensorData, limits};

use crate::raw_type::RawType;
use crate::refusal::Refusal;

/// A tensor from its raw form.
///
/// # Errors
/// When the bytes are not what type and shape say.
pub(crate) fn from_raw(
    name: &str,
    datatype: impl Into<RawType>,
    shape: Vec<usize>,
    bytes: &[u8],
) -> Result<Tensor, Refusal> {
    let datatype = datatype.into();
    check_size(name, datatype, &shape, bytes.len())?;
    let data = match datatype {
        RawType::Element(Datatype::Bytes) => TensorData::Bytes(texts(name, bytes)?),
        number => number.read(bytes)?,
    };
    Ok(Tensor::new(name, shape, data)?)
}

/// The raw form of a tensor's elements.
pub(crate) fn to_raw(data: &TensorData) -> Vec<u8> {
    if let TensorData::Bytes(texts) = data {
        let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len() + 4).sum());
        for text in texts {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        return bytes;
    }
    data.to_bin().unwrap_or_default()
}

/// About how many bytes the elements of tensors take, however they are written.
pub(crate) fn bytes_of(tensors: &[Tensor]) -> usize {
    let bytes = |tensor: &Tensor| match &tensor.data {
        TensorData::Bytes(texts) => texts.iter().map(|text| text.len() + 8).sum(),
        numbers => numbers.len().saturating_mul(8),
    };
    tensors.iter().map(bytes).sum()
}

/// Refuses before anything is copied: a shape may say anything.
fn check_size(name: &str, datatype: RawType, shape: &[usize], bytes: usize) -> Result<(), Refusal> {
    let Some(width) = datatype.element_bytes() else { return Ok(()) };
    let expected = shape.iter().try_fold(width, |product, length| product.checked_mul(*length));
    if expected == Some(bytes) {
        return Ok(());
    }
    let expected = expected.map_or_else(|| "more than there can be".to_owned(), |count| count.to_string());
    let name: String = name.chars().take(64).collect();
    let message = format!("tensor {name:?} of {datatype} {shape:?} takes {expected} bytes, found {bytes}");
    Err(Refusal::invalid(message))
}

/// The texts of their raw form.
fn texts(name: &str, mut bytes: &[u8]) -> Result<Vec<String>, Refusal> {
    let wrong = |reason: &str| {
        let name: String = name.chars().take(64).collect();
        Refusal::invalid(format!("tensor {name:?}: {reason}"))
    };
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) =
            bytes.split_first_chunk::<4>().ok_or_else(|| wrong("the length of an element is broken off"))?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (text, rest) = rest.split_at_checked(length).ok_or_else(|| wrong("an element is broken off"))?;
        let text = std::str::from_utf8(text).map_err(|_| wrong("an element is not text in UTF-8"))?;
        if texts.len() == limits::TEXTS_MAX {
            return Err(Refusal::too_large(format!("more than {} texts in one request", limits::TEXTS_MAX)));
        }
        texts.push(text.to_owned());
        bytes = rest;
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_refused_before_anything_is_copied() {
        assert!(from_raw("x", Datatype::Fp32, vec![2, 2], &[0; 16]).is_ok());
        assert!(from_raw("x", Datatype::Fp32, vec![2, 2], &[0; 15]).is_err());
        assert!(from_raw("x", Datatype::Fp64, vec![usize::MAX, 2], &[]).is_err());
        assert!(from_raw("x", Datatype::Fp32, vec![], &[0; 4]).is_err());
        assert!(from_raw("x", Datatype::Fp32, vec![0], &[]).is_err());
    }

    #[test]
    fn texts_count_by_their_length_and_numbers_by_their_count() {
        let texts = TensorData::Bytes(vec!["a".repeat(1000), String::new()]);
        let texts = Tensor::new("x", vec![2], texts).unwrap();
        let numbers = Tensor::new("y", vec![3], TensorData::Int8(vec![0; 3])).unwrap();
        assert_eq!(bytes_of(&[texts, numbers]), 1008 + 8 + 24);
    }

    #[test]
    fn broken_texts_are_refused() {
        for bytes in [&[1, 0, 0][..], &[2, 0, 0, 0, b'a'], &[1, 0, 0, 0, 0xff], &[255, 255, 255, 255, 1]] {
            assert!(from_raw("x", Datatype::Bytes, vec![1], bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_survive_their_raw_form(texts in proptest::collection::vec(".{0,12}", 1..20)) {
            let data = TensorData::Bytes(texts.clone());
            let tensor = from_raw("x", Datatype::Bytes, vec![texts.len()], &to_raw(&data)).unwrap();
            prop_assert_eq!(tensor.data, data);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for datatype in Datatype::ALL {
                let _ = from_raw("x", datatype, vec![bytes.len() / 4, 1], &bytes);
            }
        }
    }
}
