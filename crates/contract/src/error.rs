//! What can be wrong with a message, each case mapped to the code that a producer sees.

use crate::{Encoding, ErrorCode, ErrorDetail, JobState};

/// Why a value does not belong on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, id or digest breaks its grammar.
    #[error("invalid {what} {value:?}: {rule}")]
    Name {
        /// What kind of name it is.
        what: &'static str,
        /// The start of the refused value.
        value: String,
        /// The grammar in words.
        rule: &'static str,
    },
    /// The first byte begins neither a JSON document nor a MessagePack map.
    #[error("{}", unknown_encoding(*.first))]
    UnknownEncoding {
        /// The first byte, none when the payload is empty.
        first: Option<u8>,
    },
    /// The bytes are not the message that was expected.
    #[error("undecodable {encoding}: {reason}")]
    Undecodable {
        /// The encoding that was tried.
        encoding: Encoding,
        /// What the decoder met.
        reason: String,
    },
    /// A value could not be written.
    #[error("cannot write {encoding}: {reason}")]
    Unencodable {
        /// The encoding that was tried.
        encoding: Encoding,
        /// What the encoder met.
        reason: String,
    },
    /// Something is longer than the contract allows.
    #[error("{what} is too large: found {found}, the limit is {limit}")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// The measure.
        found: u64,
        /// The largest one that is taken.
        limit: u64,
    },
    /// A decoded message contradicts itself or the contract.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// The field or document.
        what: String,
        /// What is wrong with it, naming the value.
        reason: String,
    },
    /// A job cannot go from one state to the other.
    #[error("a job cannot move from {from} to {to}")]
    JobMove {
        /// The state it is in.
        from: JobState,
        /// The state that was asked for.
        to: JobState,
    },
}

impl Error {
    /// The code a producer gets for this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Name { .. }
            | Self::UnknownEncoding { .. }
            | Self::Undecodable { .. }
            | Self::Invalid { .. } => ErrorCode::InvalidArgument,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::JobMove { .. } => ErrorCode::Conflict,
            Self::Unencodable { .. } => ErrorCode::Internal,
        }
    }

    /// This error as the body of a refusal.
    pub fn detail(&self) -> ErrorDetail {
        ErrorDetail::new(self.code(), self.to_string())
    }

    pub(crate) fn name(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self::Name { what, value: value.chars().take(64).collect(), rule }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), reason: reason.into() }
    }
}

fn unknown_encoding(first: Option<u8>) -> String {
    match first {
        None => "empty payload: expected a JSON object or a MessagePack map".to_owned(),
        Some(byte) => format!(
            "unknown encoding: expected a JSON object or a MessagePack map, found first byte 0x{byte:02x}"
        ),
    }
}
