//! How many fields a message has, counted in its bytes before anything of it is in memory.

use bytes::Buf;
use leat_contract::limits::{DIMENSIONS_MAX, PARAMETERS_MAX, TENSORS_MAX, TEXTS_MAX};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// More than any request has that is taken: its inputs, their raw contents, its outputs and parameters.
const FIELDS_MAX: usize = 4 * TENSORS_MAX + 4 * PARAMETERS_MAX;
/// More than all its tensors have that are taken: names, types, contents, shapes however they are packed, parameters.
const TENSOR_FIELDS_MAX: usize = 2 * TENSORS_MAX * (4 + DIMENSIONS_MAX + PARAMETERS_MAX);

/// Fields of `ModelInferRequest`; no other message that is taken has fields with these numbers.
const INPUTS: u32 = 5;
const OUTPUTS: u32 = 6;
/// Fields of `InferInputTensor` and of its contents.
const CONTENTS: u32 = 5;
const BYTES_CONTENTS: u32 = 8;

/// What a message has too much of, if it has. What is broken is for the decoder to refuse.
pub(super) fn excess(message: &[u8]) -> Option<String> {
    let (mut fields, mut of_tensors, mut texts) = (0, 0, 0);
    for (tag, value) in Fields(message) {
        fields += 1;
        let is_tensor = matches!(tag, INPUTS | OUTPUTS);
        for (inner, value) in Fields(value).take_while(|_| is_tensor) {
            of_tensors += 1;
            if (tag, inner) == (INPUTS, CONTENTS) {
                texts +=
                    Fields(value).filter(|(field, _)| *field == BYTES_CONTENTS).take(TEXTS_MAX + 1).count();
            }
            if of_tensors > TENSOR_FIELDS_MAX || texts > TEXTS_MAX {
                break;
            }
        }
        if fields > FIELDS_MAX {
            return Some(format!("a message has more than {FIELDS_MAX} fields"));
        }
        if of_tensors > TENSOR_FIELDS_MAX {
            return Some(format!("the tensors of a message have more than {TENSOR_FIELDS_MAX} fields"));
        }
        if texts > TEXTS_MAX {
            return Some(format!("more than {TEXTS_MAX} texts in one request"));
        }
    }
    None
}

/// The fields of a message with what those are that have a length, until one is broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.0.has_remaining() {
            return None;
        }
        let (tag, wire_type) = decode_key(&mut self.0).ok()?;
        if wire_type == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut self.0).ok()?).ok()?;
            let (value, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            return Some((tag, value));
        }
        skip_field(wire_type, tag, &mut self.0, DecodeContext::default()).ok()?;
        Some((tag, &[]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::wire::inference::model_infer_request::InferInputTensor;
    use crate::wire::inference::{InferParameter, InferTensorContents, ModelInferRequest};

    fn request(inputs: Vec<InferInputTensor>) -> ModelInferRequest {
        let raw_input_contents = vec![vec![0; 1000].into(); inputs.len()];
        ModelInferRequest {
            model_name: "digits".to_owned(),
            inputs,
            raw_input_contents,
            ..Default::default()
        }
    }

    fn texts(count: usize) -> InferInputTensor {
        let bytes_contents = vec![Vec::new(); count];
        let contents = InferTensorContents { bytes_contents, ..Default::default() };
        InferInputTensor { contents: Some(contents), ..Default::default() }
    }

    #[test]
    fn as_many_fields_as_are_taken_are_no_excess() {
        let parameters =
            (0..PARAMETERS_MAX).map(|place| (place.to_string(), InferParameter::default())).collect();
        let full = InferInputTensor {
            name: "x".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1; DIMENSIONS_MAX],
            parameters,
            contents: None,
        };
        assert_eq!(excess(&request(vec![full; TENSORS_MAX]).encode_to_vec()), None);
        assert_eq!(excess(&request(vec![texts(TEXTS_MAX)]).encode_to_vec()), None);
    }

    #[test]
    fn more_are_told_without_reading_them() {
        let told = |message: &[u8], what: &str| {
            let excess = excess(message).unwrap();
            assert!(excess.contains(what), "{excess}");
        };
        let many = request(vec![InferInputTensor::default(); 100_000]).encode_to_vec();
        told(&many, "fields");
        // An unknown group in front, which begins and ends at once, hides nothing.
        told(&[&[0x7b, 0x7c][..], &many].concat(), "fields");
        let half = texts(TEXTS_MAX / 2 + 1);
        told(&request(vec![half.clone(), half]).encode_to_vec(), "texts");
        let parameters = (0..100_000).map(|place| (place.to_string(), InferParameter::default())).collect();
        told(
            &request(vec![InferInputTensor { parameters, ..Default::default() }]).encode_to_vec(),
            "tensors",
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(excess(&bytes), None);
        }
    }
}
