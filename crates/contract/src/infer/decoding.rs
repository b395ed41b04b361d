//! Reading requests and replies without an intermediate document: values go straight into their vectors.

mod admission;
mod array;
mod bounded;
mod instances;
mod message;
mod outputs;
mod tensor;

use admission::Admission;

use super::{InferRequest, InferResponse};
use crate::{Encoding, Error, codec, limits};

pub(super) fn request(payload: &[u8]) -> Result<(InferRequest, Encoding), Error> {
    let admission = Admission::default();
    let decoded = codec::decode_seed(payload, limits::PAYLOAD_BYTES_MAX, message::RequestSeed(&admission));
    decoded.map_err(|error| admission.cause(error))
}

pub(super) fn response(payload: &[u8]) -> Result<(InferResponse, Encoding), Error> {
    let admission = Admission::default();
    let decoded = codec::decode_seed(payload, limits::PAYLOAD_BYTES_MAX, message::ResponseSeed(&admission));
    decoded.map_err(|error| admission.cause(error))
}
