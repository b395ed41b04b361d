//! The form that most replies over NATS have, written without an intermediate.

use rmp::encode::{write_array_len, write_bin_len, write_map_len, write_str, write_uint};

use super::{Datatype, tensor::element_count};
use crate::{ModelName, ModelVersion, RequestId};

/// As many bytes as the lengths and markers of an output take at most.
const MARKER_BYTES: usize = 32;
/// Most labels are no longer.
const LABEL_BYTES: usize = 16;

/// The replies of one version in the tensor form of MessagePack: the first output is FP32 `[rows, width]`, every further one a label for
/// each row. What is the same in all of them is written once.
#[derive(Clone, Debug)]
pub struct PlainReplies {
    /// Who answered, up to the outputs.
    origin: Vec<u8>,
    /// Each output up to its shape.
    outputs: Vec<Vec<u8>>,
}

impl PlainReplies {
    /// Those of a version with outputs of these names.
    pub fn new<'name>(
        model: &ModelName,
        version: ModelVersion,
        outputs: impl ExactSizeIterator<Item = &'name str>,
    ) -> Self {
        let mut origin = Vec::new();
        let version = version.to_string();
        for text in ["model_name", model.as_str(), "model_version", &version, "outputs"] {
            put(write_str(&mut origin, text));
        }
        put(write_array_len(&mut origin, length(outputs.len())));
        let types = std::iter::once(Datatype::Fp32).chain(std::iter::repeat(Datatype::Bytes));
        Self { origin, outputs: outputs.zip(types).map(|(name, datatype)| opening(name, datatype)).collect() }
    }

    /// Writes, behind what `reply` holds, the same bytes as [`super::InferResponse::encode`] gives for these values, `[rows, width]`
    /// row-major, and the label of each row. Writes nothing and gives false for what it refuses.
    pub fn write<'label>(
        &self,
        reply: &mut Vec<u8>,
        id: Option<&RequestId>,
        (values, width): (&[f32], usize),
        label: impl Fn(&[f32]) -> &'label str,
    ) -> bool {
        let rows = values.len().checked_div(width).unwrap_or(0);
        if element_count("", &[rows, width]).ok() != Some(values.len()) {
            return false;
        }
        reply.reserve(self.usual_bytes(id, values.len(), rows));
        put(write_map_len(reply, 3 + u32::from(id.is_some())));
        if let Some(id) = id {
            put(write_str(reply, "id"));
            put(write_str(reply, id.as_str()));
        }
        reply.extend_from_slice(&self.origin);
        for (place, opening) in self.outputs.iter().enumerate() {
            reply.extend_from_slice(opening);
            if place == 0 {
                write_numbers(reply, values, rows, width);
            } else {
                write_labels(reply, rows, values.chunks_exact(width).map(&label));
            }
        }
        true
    }

    /// About as many bytes as a reply takes.
    fn usual_bytes(&self, id: Option<&RequestId>, values: usize, rows: usize) -> usize {
        let outputs: usize = self.outputs.iter().map(|opening| opening.len() + MARKER_BYTES).sum();
        let labels = self.outputs.len().saturating_sub(1) * rows * LABEL_BYTES;
        let id = id.map_or(0, |id| id.as_str().len());
        MARKER_BYTES + id + self.origin.len() + outputs + labels + values * size_of::<f32>()
    }
}

/// An output up to its shape, in the order in which [`super::Tensor`] is written.
fn opening(name: &str, datatype: Datatype) -> Vec<u8> {
    let mut opening = Vec::new();
    put(write_map_len(&mut opening, 4));
    for text in ["name", name, "datatype", datatype.as_str(), "shape"] {
        put(write_str(&mut opening, text));
    }
    opening
}

fn write_numbers(reply: &mut Vec<u8>, values: &[f32], rows: usize, width: usize) {
    write_shape(reply, &[rows, width]);
    put(write_bin_len(reply, length(size_of_val(values))));
    reply.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn write_labels<'label>(reply: &mut Vec<u8>, rows: usize, labels: impl Iterator<Item = &'label str>) {
    write_shape(reply, &[rows]);
    put(write_array_len(reply, length(rows)));
    labels.for_each(|label| put(write_str(reply, label)));
}

/// A shape, and the name of the data behind it.
fn write_shape(reply: &mut Vec<u8>, shape: &[usize]) {
    put(write_array_len(reply, length(shape.len())));
    shape.iter().for_each(|length| put(write_uint(reply, *length as u64)));
    put(write_str(reply, "data"));
}

/// Everything here is bounded by [`crate::limits`], far below what a length can say.
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Memory takes all that is written to it.
fn put<T, E>(_written: Result<T, E>) {}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{Encoding, InferResponse, Parameters, ReplyForm, Tensor, TensorData, limits};

    fn label(row: &[f32]) -> &'static str {
        if row[0] < 0.0 { "a rather long label, which takes more than one byte to count" } else { "yes" }
    }

    fn reply(
        id: Option<RequestId>,
        names: &[String],
        version: u32,
        values: &[f32],
        width: usize,
    ) -> InferResponse {
        let rows = values.len() / width;
        let labels: Vec<String> = values.chunks_exact(width).map(|row| label(row).to_owned()).collect();
        let output = |(place, name): (usize, &String)| {
            let (shape, data) = match place {
                0 => (vec![rows, width], TensorData::Fp32(values.to_vec())),
                _ => (vec![rows], TensorData::Bytes(labels.clone())),
            };
            Tensor { name: name.clone(), shape, data, parameters: Parameters::new() }
        };
        InferResponse {
            id,
            model_name: ModelName::new("digits").unwrap(),
            model_version: ModelVersion::new(version).unwrap(),
            parameters: Parameters::new(),
            outputs: names.iter().enumerate().map(output).collect(),
        }
    }

    proptest! {
        #[test]
        fn a_reply_has_the_bytes_that_the_general_encoder_writes(
            id in prop::option::of("[!-~]{1,40}".prop_map(|id| id.parse().unwrap())),
            names in vec("\\PC{0,40}", 1..4),
            version in 1..=u32::MAX,
            (rows, width) in (1..300_usize, 1..12_usize),
            seed in vec(any::<f32>(), 1..20),
        ) {
            let values: Vec<f32> = seed.into_iter().cycle().take(rows * width).collect();
            let general = reply(id.clone(), &names, version, &values, width);
            let names = names.iter().map(String::as_str);
            let replies = PlainReplies::new(&general.model_name, general.model_version, names);
            let mut plain = vec![7];
            prop_assert!(replies.write(&mut plain, id.as_ref(), (&values, width), label));
            prop_assert_eq!(&plain[1..], general.encode(Encoding::MessagePack, ReplyForm::Tensors).unwrap());
            prop_assert_eq!(plain[0], 7);
        }
    }

    #[test]
    fn what_the_general_encoder_refuses_is_not_written() {
        let model = ModelName::new("digits").unwrap();
        let replies = PlainReplies::new(&model, ModelVersion::FIRST, ["y"].into_iter());
        let too_many = vec![0.0; limits::ROWS_MAX + 1];
        for (values, width) in [(&[0.0; 3][..], 2), (&[], 2), (&[0.0; 3], 0), (&too_many, 1)] {
            let mut reply = Vec::new();
            assert!(!replies.write(&mut reply, None, (values, width), label) && reply.is_empty());
        }
    }
}
