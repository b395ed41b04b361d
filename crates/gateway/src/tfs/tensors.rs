//! The tensors of a request in the types of the model.

use leat_contract::{Datatype, ModelMetadata, Tensor, TensorData, TensorMetadata};

use super::dense::{Dense, Values};
use super::request::{Predict, Tensors};
use crate::refusal::Refusal;

/// The only signature that a model of ours has.
pub(super) const SIGNATURE: &str = "serving_default";

/// The inputs of a model from a request.
///
/// # Errors
/// When names, kinds or the signature are not the model's.
pub(super) fn inputs(request: Predict, model: &ModelMetadata) -> Result<Vec<Tensor>, Refusal> {
    if let Some(signature) = request.signature.as_deref().filter(|s| !s.is_empty() && *s != SIGNATURE) {
        let short: String = signature.chars().take(64).collect();
        let message = format!("Serving signature name: {short:?} not found in signature def");
        return Err(Refusal::invalid(message));
    }
    match (request.tensors, model.inputs.as_slice()) {
        (Tensors::Only(dense), [input]) => Ok(vec![tensor(dense, input)?]),
        (Tensors::Only(_), inputs) => Err(Refusal::invalid(format!(
            "the model has {} inputs, so that each needs its name",
            inputs.len()
        ))),
        (Tensors::Named(mut named), inputs) => {
            let has_all = inputs.iter().all(|input| named.contains_key(&input.name));
            if !has_all || named.len() != inputs.len() {
                let expected: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                let message = format!("the names of the tensors are not those of the model: {expected:?}");
                return Err(Refusal::invalid(message));
            }
            inputs.iter().filter_map(|input| Some(tensor(named.remove(&input.name)?, input))).collect()
        }
    }
}

fn tensor(dense: Dense, input: &TensorMetadata) -> Result<Tensor, Refusal> {
    let wrong = |found: &str| {
        Refusal::invalid(format!("input {:?} is {}, found {found}", input.name, input.datatype))
    };
    let data = match dense.values {
        Values::Numbers(values) => numbers(values, input.datatype).ok_or_else(|| wrong("other numbers"))?,
        Values::Bools(values) if input.datatype == Datatype::Bool => TensorData::Bool(values),
        Values::Texts(values) if input.datatype == Datatype::Bytes => TensorData::Bytes(values),
        Values::Bools(_) => return Err(wrong("truth values")),
        Values::Texts(_) => return Err(wrong("strings")),
        Values::None => return Err(wrong("no values")),
    };
    Ok(Tensor::new(input.name.clone(), dense.shape, data)?)
}

/// Numbers in a type; none when one is not in it.
fn numbers(values: Vec<f64>, datatype: Datatype) -> Option<TensorData> {
    Some(match datatype {
        Datatype::Fp64 => TensorData::Fp64(values),
        Datatype::Fp32 => TensorData::Fp32(values.into_iter().map(narrow).collect::<Option<_>>()?),
        Datatype::Int8 => TensorData::Int8(whole(&values)?),
        Datatype::Int16 => TensorData::Int16(whole(&values)?),
        Datatype::Int32 => TensorData::Int32(whole(&values)?),
        Datatype::Int64 => TensorData::Int64(whole(&values)?),
        Datatype::Uint8 => TensorData::Uint8(whole(&values)?),
        Datatype::Uint16 => TensorData::Uint16(whole(&values)?),
        Datatype::Uint32 => TensorData::Uint32(whole(&values)?),
        Datatype::Uint64 => TensorData::Uint64(whole(&values)?),
        Datatype::Bool | Datatype::Bytes => return None,
    })
}

fn narrow(value: f64) -> Option<f32> {
    let narrow = value as f32;
    (narrow.is_finite() || !value.is_finite()).then_some(narrow)
}

/// Beyond 2⁵³ a number of JSON is no longer one whole number.
fn whole<T: TryFrom<i64>>(values: &[f64]) -> Option<Vec<T>> {
    let exact = |value: &f64| {
        let is_whole = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
        if is_whole { T::try_from(*value as i64).ok() } else { None }
    };
    values.iter().map(exact).collect()
}
