//! What goes back over HTTP, before compression and headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::refusal::Refusal;

/// The header of the binary tensor extension: how many bytes of the body are JSON.
pub(crate) const JSON_LENGTH: &str = "inference-header-content-length";

/// A reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    /// A JSON document that is written already.
    pub(crate) fn json(bytes: impl Into<Bytes>) -> Self {
        Self::typed("application/json", bytes)
    }

    /// A JSON document.
    ///
    /// # Errors
    /// For a value without a form in JSON, which none of ours is.
    pub(crate) fn document(value: &impl Serialize) -> Result<Self, Refusal> {
        let bytes = serde_json::to_vec(value);
        bytes.map(Self::json).map_err(|error| Refusal::internal(error.to_string()))
    }

    /// JSON with raw tensors behind it.
    pub(crate) fn binary(json_bytes: usize, bytes: Vec<u8>) -> Self {
        let mut answer = Self::typed("application/octet-stream", bytes);
        answer.headers.insert(JSON_LENGTH, HeaderValue::from(json_bytes));
        answer
    }

    /// Nothing but the status 200.
    pub(crate) fn empty() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), bytes: Bytes::new() }
    }

    pub(crate) fn typed(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let mut answer = Self { bytes: bytes.into(), ..Self::empty() };
        answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        answer
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// Clients of every protocol read the text under `error`.
impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut answer =
            Self::json(json!({ "error": refusal.message }).to_string()).with_status(refusal.status);
        if let Some(seconds) = refusal.retry_after_seconds() {
            answer.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = refusal.allow {
            answer.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if refusal.status == StatusCode::UNAUTHORIZED {
            answer.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}
