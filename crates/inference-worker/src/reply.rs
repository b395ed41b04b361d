//! From the rows that came out of a model to the reply, and to the record of what was predicted.

use bytes::Bytes;
use leat_contract::{
    Encoding, InferResponse, Parameters, PredictedValue, ReplyForm, RequestId, Tensor, TensorData,
};
use leat_model::Task;

use crate::Error;
use crate::loaded::LoadedVersion;
use crate::reply_memory::ReplyMemory;
use crate::rows::Selection;

/// How the caller of one request wants the reply.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) id: Option<RequestId>,
    pub(crate) encoding: Encoding,
    pub(crate) form: ReplyForm,
    pub(crate) outputs: Selection,
}

/// Writes the reply for the rows of one request. `values` are its part of the batch, `[rows, outputs]`.
///
/// # Errors
/// Only for a defect: a reply that cannot be written.
pub(crate) fn encode(
    version: &LoadedVersion,
    wanted: &Wanted,
    values: &[f32],
    memory: &mut ReplyMemory,
) -> Result<Bytes, Error> {
    if let Wanted { id, encoding: Encoding::MessagePack, form: ReplyForm::Tensors, outputs: None } = wanted {
        let label = |row: &[f32]| best(version, row).0;
        let rows = (values, version.plan.outputs());
        if version.replies.write(&mut memory.written, id.as_ref(), rows, label) {
            return Ok(memory.take());
        }
    }
    let count = version.signature.outputs.len();
    let output = |place| output(version, place, values);
    let outputs = match &wanted.outputs {
        None => (0..count).filter_map(output).collect(),
        Some(places) => places.iter().copied().filter_map(output).collect(),
    };
    let response = InferResponse {
        id: wanted.id.clone(),
        model_name: version.model.clone(),
        model_version: version.version,
        parameters: Parameters::new(),
        outputs,
    };
    Ok(response.encode(wanted.encoding, wanted.form)?.into())
}

/// Checks that a reply fits into one message, or into the object that its caller takes.
///
/// # Errors
/// When it is too large, with the limit that its caller can do something about.
pub(crate) fn check_size(
    bytes: usize,
    message_bytes_max: usize,
    object_bytes_max: usize,
) -> Result<(), Error> {
    if bytes <= message_bytes_max.max(object_bytes_max) {
        return Ok(());
    }
    Err(match object_bytes_max {
        0 => Error::ReplyTooLarge { bytes, bytes_max: message_bytes_max },
        bytes_max => Error::ReplyOverAccepted { bytes, bytes_max },
    })
}

/// The output at a place of the signature: the values themselves, or for classifiers after them the labels.
fn output(version: &LoadedVersion, place: usize, values: &[f32]) -> Option<Tensor> {
    let name = version.signature.outputs.get(place)?.name.clone();
    let width = version.plan.outputs().max(1);
    let rows = values.len() / width;
    let (shape, data) = if place == 0 {
        (vec![rows, width], TensorData::Fp32(values.to_vec()))
    } else {
        let labels = values.chunks_exact(width).map(|row| best(version, row).0.to_owned());
        (vec![rows], TensorData::Bytes(labels.collect()))
    };
    Some(Tensor { name, shape, data, parameters: Parameters::new() })
}

/// What was predicted for each row, for the comparison with labels.
pub(crate) fn predicted(version: &LoadedVersion, values: &[f32]) -> Vec<PredictedValue> {
    let value = |row: &[f32]| match version.task {
        Task::Regression => PredictedValue::Values(row.to_vec()),
        Task::Classification => {
            let (label, probability) = best(version, row);
            PredictedValue::Class { label: label.to_owned(), probability }
        }
    };
    values.chunks_exact(version.plan.outputs().max(1)).map(value).collect()
}

/// The most probable class of a row; of equally probable ones the first.
pub(crate) fn best<'version>(version: &'version LoadedVersion, row: &[f32]) -> (&'version str, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, probability) in row.iter().copied().enumerate() {
        if probability > best.1 {
            best = (class, probability);
        }
    }
    (version.signature.labels.get(best.0).map_or("", String::as_str), best.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{loaded, tiny_classifier, tiny_version};

    fn wanted(encoding: Encoding, form: ReplyForm) -> Wanted {
        Wanted { id: Some("r-1".parse().unwrap()), encoding, form, outputs: None }
    }

    fn written(version: &LoadedVersion, wanted: &Wanted, values: &[f32]) -> Bytes {
        encode(version, wanted, values, &mut ReplyMemory::default()).unwrap()
    }

    #[test]
    fn a_classifier_gives_probabilities_and_labels_in_both_encodings() {
        let version = loaded(3, &tiny_classifier());
        let values = [0.25, 0.75, 0.5, 0.5];
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let bytes = written(&version, &wanted(encoding, ReplyForm::Tensors), &values);
            let (reply, found) = InferResponse::decode(&bytes).unwrap();
            assert_eq!((found, reply.model_version.get(), reply.id.unwrap().as_str()), (encoding, 3, "r-1"));
            assert_eq!(reply.outputs[0].name, "probabilities");
            assert_eq!(
                (&reply.outputs[0].shape, &reply.outputs[0].data),
                (&vec![2, 2], &TensorData::Fp32(values.to_vec()))
            );
            assert_eq!((reply.outputs[1].name.as_str(), &reply.outputs[1].shape), ("label", &vec![2]));
            assert_eq!(reply.outputs[1].data, TensorData::Bytes(vec!["yes".to_owned(), "no".to_owned()]));
        }
    }

    #[test]
    fn the_short_form_gives_one_entry_per_row() {
        let classes = loaded(1, &tiny_classifier());
        let form = wanted(Encoding::Json, ReplyForm::Predictions);
        let reply: serde_json::Value =
            serde_json::from_slice(&written(&classes, &form, &[0.25, 0.75])).unwrap();
        assert_eq!(
            reply["predictions"],
            serde_json::json!([{"probabilities": [0.25, 0.75], "label": "yes"}])
        );
        let values = tiny_version(1);
        let reply: serde_json::Value = serde_json::from_slice(&written(&values, &form, &[1.5, 2.5])).unwrap();
        assert_eq!(reply["predictions"], serde_json::json!([[1.5], [2.5]]));
        assert_eq!((&reply["model_name"], &reply["model_version"]), (&"tiny".into(), &"1".into()));
    }

    #[test]
    fn only_the_outputs_that_were_asked_for_are_given() {
        let version = loaded(1, &tiny_classifier());
        let only_label = Wanted { outputs: Some(vec![1]), ..wanted(Encoding::Json, ReplyForm::Tensors) };
        let (reply, _) = InferResponse::decode(&written(&version, &only_label, &[0.1, 0.9])).unwrap();
        assert_eq!(reply.outputs.len(), 1);
        assert_eq!(reply.outputs[0].name, "label");
    }

    #[test]
    fn a_record_says_the_class_or_the_values() {
        let class = predicted(&loaded(1, &tiny_classifier()), &[0.1, 0.9]);
        assert_eq!(class, [PredictedValue::Class { label: "yes".to_owned(), probability: 0.9 }]);
        assert_eq!(
            predicted(&tiny_version(1), &[1.0, 2.0]),
            [PredictedValue::Values(vec![1.0]), PredictedValue::Values(vec![2.0])]
        );
    }
}
