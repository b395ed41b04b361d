//! The binary tensor extension: raw tensors behind the JSON of a request.

use leat_contract::{InferRequest, ModelMetadata, Tensor};

use super::header::{BinaryOutputs, Header};
use crate::elements;
use crate::refusal::Refusal;

/// A request, and which outputs of the reply shall be binary.
pub(crate) type Read = (InferRequest, BinaryOutputs);

/// Reads a request whose JSON has `json_bytes`; what stands behind it are the binary inputs in their order.
///
/// # Errors
/// When the sizes do not fit, or the JSON is no request.
pub(crate) fn read(body: &[u8], json_bytes: usize) -> Result<Read, Refusal> {
    let Some((json, mut rest)) = body.split_at_checked(json_bytes) else {
        let message = format!(
            "the header Inference-Header-Content-Length says {json_bytes}, the body has {} bytes",
            body.len()
        );
        return Err(Refusal::invalid(message));
    };
    let header = Header::read(json)?;
    let mut inputs: Vec<Tensor> = Vec::with_capacity(header.inputs.len());
    for input in &header.inputs {
        if inputs.iter().any(|other| other.name == input.name) {
            return Err(input.wrong("the name stands twice"));
        }
        let Some(size) = input.binary_size()? else {
            inputs.push(input.tensor()?);
            continue;
        };
        let Some((raw, behind)) = rest.split_at_checked(size) else {
            return Err(
                input.wrong(format_args!("binary_data_size is {size}, only {} bytes are left", rest.len()))
            );
        };
        inputs.push(elements::from_raw(&input.name, input.datatype, input.shape.clone(), raw)?);
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(Refusal::invalid(format!("{} bytes stand behind the last binary input", rest.len())));
    }
    if inputs.is_empty() {
        return Err(Refusal::invalid("the list of inputs is empty"));
    }
    header.into_request(inputs)
}

/// Reads a body that is nothing but the one input of a model: one row, or as many as the bytes make.
///
/// # Errors
/// When the model has several inputs, or the bytes do not fill whole rows.
pub(crate) fn read_raw(body: &[u8], model: &ModelMetadata) -> Result<Read, Refusal> {
    let [input] = model.inputs.as_slice() else {
        return Err(Refusal::invalid(format!(
            "a raw binary request is for models with one input, {} has {}",
            model.name,
            model.inputs.len()
        )));
    };
    let shape = match input.datatype.element_bytes() {
        None => vec![1],
        Some(width) => rows_of(body.len(), width, &input.shape).ok_or_else(|| {
            Refusal::invalid(format!("{} bytes are no whole rows of {:?}", body.len(), input.shape))
        })?,
    };
    let tensor = elements::from_raw(&input.name, input.datatype, shape, body)?;
    Ok((InferRequest::tensors(vec![tensor]), BinaryOutputs::all()))
}

/// The shape of so many bytes when every dimension but the first is known.
fn rows_of(bytes: usize, width: usize, shape: &[i64]) -> Option<Vec<usize>> {
    let rest: Vec<usize> =
        shape.iter().skip(1).map(|length| usize::try_from(*length).ok()).collect::<Option<_>>()?;
    let row = rest.iter().try_fold(width, |product, length| product.checked_mul(*length))?;
    let is_whole = row > 0 && bytes > 0 && bytes.is_multiple_of(row);
    is_whole.then(|| std::iter::once(bytes / row).chain(rest).collect())
}

#[cfg(test)]
mod tests;
