//! The reply to `:predict`, in the form of its request.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leat_contract::{InferResponse, Tensor, TensorData};

use super::number;
use super::request::Form;
use crate::refusal::Refusal;

/// An output whose name ends so is bytes rather than text.
const BYTES_SUFFIX: &str = "_bytes";

/// Writes a reply.
///
/// # Errors
/// When rows are wanted and the outputs differ in their number of them.
pub(super) fn write(response: &InferResponse, form: Form) -> Result<String, Refusal> {
    let mut text = String::new();
    match form {
        Form::Rows => rows(&mut text, &response.outputs)?,
        Form::Columns => columns(&mut text, &response.outputs),
    }
    Ok(text)
}

fn rows(text: &mut String, outputs: &[Tensor]) -> Result<(), Refusal> {
    let count = outputs.first().map_or(0, Tensor::rows);
    if outputs.iter().any(|output| output.rows() != count) {
        return Err(Refusal::invalid("the outputs differ in their number of rows: ask with `inputs`"));
    }
    text.push_str("{\"predictions\":[");
    for row in 0..count {
        separate(text, row);
        if let [only] = outputs {
            value(text, only, row);
            continue;
        }
        text.push('{');
        for (place, output) in outputs.iter().enumerate() {
            separate(text, place);
            string(text, &output.name);
            text.push(':');
            value(text, output, row);
        }
        text.push('}');
    }
    text.push_str("]}");
    Ok(())
}

fn columns(text: &mut String, outputs: &[Tensor]) {
    text.push_str("{\"outputs\":");
    if let [only] = outputs {
        nested(text, only, &only.shape, 0);
    } else {
        text.push('{');
        for (place, output) in outputs.iter().enumerate() {
            separate(text, place);
            string(text, &output.name);
            text.push(':');
            nested(text, output, &output.shape, 0);
        }
        text.push('}');
    }
    text.push('}');
}

/// One row of an output.
fn value(text: &mut String, output: &Tensor, row: usize) {
    let shape = output.shape.get(1..).unwrap_or_default();
    nested(text, output, shape, row * shape.iter().product::<usize>());
}

/// The elements from `start` on, as lists nested to a shape.
fn nested(text: &mut String, output: &Tensor, shape: &[usize], start: usize) {
    let [length, inner @ ..] = shape else { return element(text, output, start) };
    let stride = inner.iter().product::<usize>();
    text.push('[');
    for place in 0..*length {
        separate(text, place);
        nested(text, output, inner, start + place * stride);
    }
    text.push(']');
}

/// An element that is not there is `null`; a checked tensor has none such.
fn element(text: &mut String, output: &Tensor, at: usize) {
    match &output.data {
        TensorData::Fp32(values) => number::write(text, values.get(at).copied().unwrap_or(f32::NAN)),
        TensorData::Fp64(values) => number::write_wide(text, values.get(at).copied().unwrap_or(f64::NAN)),
        TensorData::Bytes(values) => {
            let value = values.get(at).map_or("", String::as_str);
            if output.name.ends_with(BYTES_SUFFIX) {
                // Writing to a String cannot fail.
                let _ = write!(text, "{{\"b64\":\"{}\"}}", STANDARD.encode(value));
            } else {
                string(text, value);
            }
        }
        TensorData::Bool(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Uint8(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Uint16(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Uint32(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Uint64(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Int8(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Int16(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Int32(values) => whole(text, values.get(at).map(|value| value as _)),
        TensorData::Int64(values) => whole(text, values.get(at).map(|value| value as _)),
    }
}

fn whole(text: &mut String, value: Option<&dyn std::fmt::Display>) {
    // Writing to a String cannot fail.
    let _ = match value {
        Some(value) => write!(text, "{value}"),
        None => write!(text, "null"),
    };
}

fn separate(text: &mut String, place: usize) {
    if place > 0 {
        text.push(',');
    }
}

/// A string in quotes; text can always be written.
fn string(text: &mut String, value: &str) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

#[cfg(test)]
mod tests {
    use leat_contract::{ModelVersion, Parameters};

    use super::*;

    fn response(outputs: Vec<Tensor>) -> InferResponse {
        InferResponse {
            id: None,
            model_name: "tiny".parse().unwrap(),
            model_version: ModelVersion::FIRST,
            parameters: Parameters::new(),
            outputs,
        }
    }

    fn probabilities() -> Tensor {
        Tensor::new("probabilities", vec![2, 2], TensorData::Fp32(vec![0.25, 0.75, f32::NAN, 1.0])).unwrap()
    }

    fn label() -> Tensor {
        Tensor::new("label", vec![2], TensorData::Bytes(vec!["a\"b".to_owned(), "c".to_owned()])).unwrap()
    }

    #[test]
    fn one_output_gives_values_and_several_give_objects() {
        let one = response(vec![probabilities()]);
        assert_eq!(write(&one, Form::Rows).unwrap(), r#"{"predictions":[[0.25,0.75],[NaN,1.0]]}"#);
        assert_eq!(write(&one, Form::Columns).unwrap(), r#"{"outputs":[[0.25,0.75],[NaN,1.0]]}"#);
        let two = response(vec![probabilities(), label()]);
        let rows = r#"{"predictions":[{"probabilities":[0.25,0.75],"label":"a\"b"},{"probabilities":[NaN,1.0],"label":"c"}]}"#;
        assert_eq!(write(&two, Form::Rows).unwrap(), rows);
        let columns = r#"{"outputs":{"probabilities":[[0.25,0.75],[NaN,1.0]],"label":["a\"b","c"]}}"#;
        assert_eq!(write(&two, Form::Columns).unwrap(), columns);
    }

    #[test]
    fn bytes_are_told_by_the_name_of_their_output() {
        let image = Tensor::new("image_bytes", vec![1], TensorData::Bytes(vec!["hi".to_owned()])).unwrap();
        assert_eq!(write(&response(vec![image]), Form::Rows).unwrap(), r#"{"predictions":[{"b64":"aGk="}]}"#);
    }

    #[test]
    fn rows_need_outputs_of_one_length() {
        let short = Tensor::new("short", vec![1], TensorData::Int64(vec![1])).unwrap();
        let uneven = response(vec![label(), short]);
        assert!(write(&uneven, Form::Rows).is_err());
        assert!(write(&uneven, Form::Columns).is_ok());
    }
}
