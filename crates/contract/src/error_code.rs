//! The nine ways a request can fail, and the body that says so.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of a message, at most.
const MESSAGE_CHARACTERS_MAX: usize = 1024;

/// Why a request was not answered with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Undecodable, or a wrong name, shape, type or value.
    InvalidArgument,
    /// Who asks is not known.
    Unauthenticated,
    /// Who asks may not.
    PermissionDenied,
    /// No such model, version, job or object.
    NotFound,
    /// Somebody else changed the thing first.
    Conflict,
    /// Over the payload or batch limit; the message says the limit.
    TooLarge,
    /// The bounded queue of the worker is full; `retry_after_ms` says when to retry.
    Overloaded,
    /// A defect of Leat's own.
    Internal,
    /// Nobody serves it yet, or the server is draining.
    Unavailable,
    /// The deadline passed before there was an answer.
    DeadlineExceeded,
}

impl ErrorCode {
    /// Every code, in the order of its status.
    pub const ALL: [Self; 10] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Overloaded,
        Self::Internal,
        Self::Unavailable,
        Self::DeadlineExceeded,
    ];

    /// The number in the `Nats-Service-Error-Code` header and in `error.code`.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Overloaded => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The code with this number, if it is one of the contract's.
    pub fn from_status(status: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.status() == status)
    }

    /// Whether the same request may succeed later without being changed.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Overloaded | Self::Unavailable)
    }

    /// The name in `error.name`, for example `not_found`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
        }
    }

    /// When it is given, in the words of the published table.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::InvalidArgument => {
                "the request is undecodable, or has a wrong name, shape, type or value (NaN where the model refuses it)"
            }
            Self::Unauthenticated => "the caller is not authenticated",
            Self::PermissionDenied => "the caller is authenticated but not allowed",
            Self::NotFound => "there is no such model, version, job or object",
            Self::Conflict => "somebody else changed the document first (compare-and-set lost)",
            Self::TooLarge => "the payload, a shape or a batch is over a limit; the message says the limit",
            Self::Overloaded => {
                "the worker's bounded queue is full, or the request would wait in it for too long; `retry_after_ms` says when to try again"
            }
            Self::Internal => "a defect of Leat's own",
            Self::Unavailable => "nobody serves the model yet, or the worker is draining",
            Self::DeadlineExceeded => {
                "`deadline_ms` passed before the request was answered, or its `timeout` before it was taken from the queue"
            }
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The body of every failure, in the encoding of the request (JSON when that is unknown).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

impl From<ErrorDetail> for ErrorBody {
    fn from(error: ErrorDetail) -> Self {
        Self { error }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{name} ({code}): {message}")]
pub struct ErrorDetail {
    /// The number of the code, the same as in the `Nats-Service-Error-Code` header.
    pub code: u16,
    /// The name of the code, for example `not_found`.
    pub name: String,
    /// What is wrong, for a person. Its wording may change; programs read `code`.
    pub message: String,
    /// Whether the same request may succeed later without being changed.
    pub retryable: bool,
    /// How long to wait before trying again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorDetail {
    /// The body for a code, with the text for a person, of which the first 1024 characters are kept.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code.status(),
            name: code.name().to_owned(),
            message: shortened(message.into()),
            retryable: code.retryable(),
            retry_after_ms: None,
        }
    }

    /// The same with a time to wait before trying again.
    pub fn retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }

    /// The message as the value of a header: one line of at most 256 characters.
    pub fn header_text(&self) -> String {
        let printable = |character: char| if character.is_control() { ' ' } else { character };
        self.message.chars().take(256).map(printable).collect()
    }

    /// The code, [`ErrorCode::Internal`] when a newer peer sent one that this build does not know.
    pub fn error_code(&self) -> ErrorCode {
        ErrorCode::from_status(self.code).unwrap_or(ErrorCode::Internal)
    }
}

/// A message may quote what was sent, which may be long.
fn shortened(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
        message.truncate(end);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_status_and_name() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_status(code.status()), Some(code));
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.name()));
        }
        assert_eq!(ErrorCode::from_status(418), None);
    }

    #[test]
    fn only_what_may_pass_by_itself_is_retryable() {
        let retryable = ErrorCode::ALL.into_iter().filter(|code| code.retryable());
        assert_eq!(retryable.map(ErrorCode::status).collect::<Vec<_>>(), [409, 429, 503]);
    }

    #[test]
    fn an_error_reads_as_name_code_and_message() {
        let detail = ErrorDetail::new(ErrorCode::NotFound, "no model digits");
        assert_eq!(detail.to_string(), "not_found (404): no model digits");
        assert_eq!(detail.error_code(), ErrorCode::NotFound);
    }

    #[test]
    fn a_code_of_a_newer_peer_counts_as_internal() {
        let json = r#"{"code": 418, "name": "teapot", "message": "short and stout", "retryable": false}"#;
        assert_eq!(serde_json::from_str::<ErrorDetail>(json).unwrap().error_code(), ErrorCode::Internal);
    }

    #[test]
    fn what_a_producer_sent_cannot_break_a_header_or_swell_a_reply() {
        let detail = ErrorDetail::new(
            ErrorCode::InvalidArgument,
            format!("unknown field `a\r\nb: {}`", "é".repeat(5000)),
        );
        assert_eq!(detail.message.chars().count(), 1024);
        assert_eq!(detail.header_text().chars().count(), 256);
        assert!(!detail.header_text().contains(['\r', '\n']));
    }
}
