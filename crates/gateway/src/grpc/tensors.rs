//! Tensors between the messages of gRPC and those of the contract.

use std::collections::HashMap;

use bytes::Bytes;
use leat_contract::{Datatype, Parameters, Scalar, Tensor, TensorData, limits};

use crate::elements;
use crate::raw_type::RawType;
use crate::refusal::Refusal;
use crate::wire::inference::infer_parameter::ParameterChoice;
use crate::wire::inference::model_infer_request::InferInputTensor;
use crate::wire::inference::{InferParameter, InferTensorContents, ModelInferRequest};

/// What a request may not ask for.
const UNSUPPORTED: [&str; 3] = ["classification", "shared_memory_region", "shared_memory_byte_size"];

/// The memory that the contents of a request take, raw and typed.
pub(super) fn bytes_of(request: &ModelInferRequest) -> usize {
    let raw: usize = request.raw_input_contents.iter().map(Bytes::len).sum();
    let typed = request.inputs.iter().filter_map(|input| input.contents.as_ref()).map(contents_bytes);
    raw + typed.sum::<usize>()
}

fn contents_bytes(contents: &InferTensorContents) -> usize {
    let texts = contents.bytes_contents.iter().map(|text| text.len() + size_of::<Vec<u8>>());
    contents.bool_contents.len()
        + 4 * (contents.int_contents.len() + contents.uint_contents.len() + contents.fp32_contents.len())
        + 8 * (contents.int64_contents.len() + contents.uint64_contents.len() + contents.fp64_contents.len())
        + texts.sum::<usize>()
}

/// The tensors of a request, from its raw contents or its typed ones.
///
/// # Errors
/// When both are there, or they do not fit their types and shapes.
pub(super) fn read(inputs: Vec<InferInputTensor>, raw: &[Bytes]) -> Result<Vec<Tensor>, Refusal> {
    if inputs.is_empty() || inputs.len() > limits::TENSORS_MAX {
        let message = format!("a request has 1 to {} inputs, found {}", limits::TENSORS_MAX, inputs.len());
        return Err(Refusal::invalid(message));
    }
    if !raw.is_empty() && raw.len() != inputs.len() {
        let message = format!("{} inputs, but {} raw_input_contents", inputs.len(), raw.len());
        return Err(Refusal::invalid(message));
    }
    let mut raw = raw.iter();
    inputs.into_iter().map(|input| tensor(input, raw.next())).collect()
}

fn tensor(input: InferInputTensor, raw: Option<&Bytes>) -> Result<Tensor, Refusal> {
    let datatype: RawType = input.datatype.parse()?;
    let shape = shape(&input)?;
    parameters(input.parameters)?;
    match (raw, input.contents) {
        (Some(raw), None) => elements::from_raw(&input.name, datatype, shape, raw),
        (None, Some(contents)) => Ok(Tensor::new(input.name, shape, typed(datatype.element()?, contents)?)?),
        (Some(_), Some(_)) => Err(Refusal::invalid(format!(
            "contents of input {:?} must not be there beside raw_input_contents",
            short(&input.name)
        ))),
        (None, None) => Err(Refusal::invalid(format!("input {:?} has no contents", short(&input.name)))),
    }
}

fn shape(input: &InferInputTensor) -> Result<Vec<usize>, Refusal> {
    if input.shape.len() > limits::DIMENSIONS_MAX {
        let message =
            format!("input {:?} has more than {} dimensions", short(&input.name), limits::DIMENSIONS_MAX);
        return Err(Refusal::invalid(message));
    }
    let lengths = input.shape.iter().map(|length| usize::try_from(*length).ok());
    let wrong =
        || Refusal::invalid(format!("input {:?} has the shape {:?}", short(&input.name), input.shape));
    lengths.collect::<Option<_>>().ok_or_else(wrong)
}

/// The elements of the field that belongs to a type; the smaller integers share fields.
fn typed(datatype: Datatype, contents: InferTensorContents) -> Result<TensorData, Refusal> {
    let wrong = |_| Refusal::invalid(format!("an element is out of the range of {datatype}"));
    Ok(match datatype {
        Datatype::Bool => TensorData::Bool(contents.bool_contents),
        Datatype::Int8 => TensorData::Int8(narrow(contents.int_contents).map_err(wrong)?),
        Datatype::Int16 => TensorData::Int16(narrow(contents.int_contents).map_err(wrong)?),
        Datatype::Int32 => TensorData::Int32(contents.int_contents),
        Datatype::Int64 => TensorData::Int64(contents.int64_contents),
        Datatype::Uint8 => TensorData::Uint8(narrow(contents.uint_contents).map_err(wrong)?),
        Datatype::Uint16 => TensorData::Uint16(narrow(contents.uint_contents).map_err(wrong)?),
        Datatype::Uint32 => TensorData::Uint32(contents.uint_contents),
        Datatype::Uint64 => TensorData::Uint64(contents.uint64_contents),
        Datatype::Fp32 => TensorData::Fp32(contents.fp32_contents),
        Datatype::Fp64 => TensorData::Fp64(contents.fp64_contents),
        Datatype::Bytes => {
            let texts = contents.bytes_contents.into_iter().map(String::from_utf8);
            let texts = texts.collect::<Result<_, _>>();
            TensorData::Bytes(
                texts.map_err(|_| Refusal::invalid("an element of BYTES is not text in UTF-8"))?,
            )
        }
    })
}

fn narrow<F, T: TryFrom<F>>(values: Vec<F>) -> Result<Vec<T>, T::Error> {
    values.into_iter().map(T::try_from).collect()
}

/// Parameters as the contract has them.
///
/// # Errors
/// For one that would change the answer and is not there, one without a value, and too many.
pub(super) fn parameters(parameters: HashMap<String, InferParameter>) -> Result<Parameters, Refusal> {
    if parameters.len() > limits::PARAMETERS_MAX {
        return Err(Refusal::invalid(format!("more than {} parameters", limits::PARAMETERS_MAX)));
    }
    let mut read = Parameters::new();
    for (name, parameter) in parameters {
        if UNSUPPORTED.contains(&name.as_str()) {
            return Err(Refusal::invalid(format!("the parameter {name:?} is not supported")));
        }
        let value = match parameter.parameter_choice {
            Some(ParameterChoice::BoolParam(value)) => Scalar::Bool(value),
            Some(ParameterChoice::Int64Param(value)) => Scalar::Integer(value),
            Some(ParameterChoice::StringParam(value)) => Scalar::Text(value),
            Some(ParameterChoice::DoubleParam(value)) if value.is_finite() => Scalar::Number(value),
            Some(ParameterChoice::Uint64Param(value)) => {
                i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Integer)
            }
            _ => return Err(Refusal::invalid(format!("the parameter {:?} has no value", short(&name)))),
        };
        read.insert(name, value);
    }
    Ok(read)
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(datatype: &str, shape: &[i64], contents: Option<InferTensorContents>) -> InferInputTensor {
        InferInputTensor {
            name: "x".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            parameters: HashMap::new(),
            contents,
        }
    }

    #[test]
    fn raw_and_typed_contents_give_the_same_tensors() {
        let typed = InferTensorContents { fp32_contents: vec![1.0, 2.0], ..Default::default() };
        let typed = read(vec![input("FP32", &[1, 2], Some(typed))], &[]).unwrap();
        let raw: Vec<u8> = [1.0_f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let raw = read(vec![input("FP32", &[1, 2], None)], &[raw.into()]).unwrap();
        assert_eq!(typed, raw);
    }

    #[test]
    fn raw_and_typed_contents_both_count() {
        let typed = InferTensorContents {
            fp32_contents: vec![1.0; 10],
            int64_contents: vec![1; 10],
            bytes_contents: vec![vec![0; 100]],
            ..Default::default()
        };
        let request = ModelInferRequest {
            inputs: vec![input("FP32", &[10], Some(typed))],
            raw_input_contents: vec![Bytes::from_static(&[0; 7])],
            ..Default::default()
        };
        assert_eq!(bytes_of(&request), 7 + 40 + 80 + 124);
    }

    #[test]
    fn small_integers_are_checked() {
        let of = |value| {
            let contents = InferTensorContents { int_contents: vec![value], ..Default::default() };
            read(vec![input("INT8", &[1], Some(contents))], &[])
        };
        assert_eq!(of(-128).unwrap()[0].data, TensorData::Int8(vec![-128]));
        assert!(of(128).is_err());
    }

    #[test]
    fn contradictions_are_refused() {
        let contents = || Some(InferTensorContents { fp32_contents: vec![1.0], ..Default::default() });
        let raw = || Bytes::from_static(&[0; 4]);
        assert!(read(vec![input("FP32", &[1], contents())], &[raw()]).is_err());
        assert!(read(vec![input("FP32", &[1], None)], &[]).is_err());
        assert!(read(vec![input("FP32", &[1], None)], &[raw(), raw()]).is_err());
        assert!(read(vec![input("FP32", &[-1], contents())], &[]).is_err());
        assert!(read(vec![input("FP16", &[1], None)], &[raw()]).is_err());
        assert!(read(vec![input("FP16", &[1], contents())], &[]).is_err());
        assert!(read(vec![input("FP32", &[2], contents())], &[]).is_err());
        assert!(read(Vec::new(), &[]).is_err());
    }
}
