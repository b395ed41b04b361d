//! Inference: the request in its two forms and the reply in the same two.
//!
//! The tensor form is the body of the Open Inference Protocol V2; the short form is for people and scripts.

mod bin;
mod datatype;
mod decoding;
mod durable;
mod element;
mod envelope;
mod plain_reply;
mod plain_request;
mod reference;
mod request;
mod response;
mod rows;
mod schema;
mod short_reply;
mod tensor;
mod tensor_data;

use std::collections::BTreeMap;

pub use datatype::Datatype;
pub use durable::DurableRequest;
pub use envelope::{Envelope, Priority};
pub use plain_reply::PlainReplies;
pub use plain_request::PlainRequest;
pub use reference::InferReference;
pub use request::{InferRequest, Instances, RequestBody, RequestedOutput};
pub use response::{InferResponse, PredictionsResponse, ReplyForm};
pub use rows::FeatureRows;
pub use tensor::Tensor;
pub use tensor_data::TensorData;

use crate::Scalar;

/// Named options of a request, a tensor or a reply: a flat map.
pub type Parameters = BTreeMap<String, Scalar>;

#[cfg(test)]
mod tests;
