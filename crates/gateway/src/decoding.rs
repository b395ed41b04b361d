//! The decoders of bodies from outside, for fuzzing: what the gateway does with them needs a broker, reading them does not.

use leat_contract::{ErrorDetail, InferRequest};

use crate::outline::Outline;
use crate::refusal::Refusal;
use crate::{tfs, v2};

/// The nesting that the settings allow unless they are changed.
const DEPTH_MAX: usize = 100;

/// Reads a body whose first `json_bytes` are the JSON of a request and whose rest are its binary tensors.
///
/// # Errors
/// What the caller would be told.
pub fn binary_request(body: &[u8], json_bytes: usize) -> Result<InferRequest, ErrorDetail> {
    Outline::of(body.get(..json_bytes).unwrap_or_default(), DEPTH_MAX).map_err(detail)?;
    v2::binary::read(body, json_bytes).map(|(request, _)| request).map_err(detail)
}

/// Reads a body of TensorFlow Serving's `:predict`.
///
/// # Errors
/// What the caller would be told.
pub fn predict_request(body: &[u8]) -> Result<(), ErrorDetail> {
    Outline::of(body, DEPTH_MAX).map_err(detail)?;
    tfs::check(body).map_err(detail)
}

fn detail(refusal: Refusal) -> ErrorDetail {
    ErrorDetail::new(refusal.code, refusal.message)
}
