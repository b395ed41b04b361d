//! What can go wrong between us and the broker.

use std::time::Duration;

use leat_contract::{ErrorCode, ErrorDetail, server_version::Refusal};

/// What the storage layer answers while it elects a leader, starts, or is short of something: no responders, not
/// available, not the leader, insufficient resources.
const TRANSIENT_CODES: [u64; 4] = [503, 10_008, 10_009, 10_023];

/// Why something said to the broker did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server is one that Leat does not work with.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No connection could be made.
    #[error("cannot connect to {url}: {reason}")]
    Connect {
        /// The address, without credentials.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The server does not accept the credentials.
    #[error("{url} refuses the credentials: {reason}")]
    Unauthorized {
        /// The address, without credentials.
        url: String,
        /// What the server said.
        reason: String,
    },
    /// There is no connection right now; it is being restored in the background.
    #[error("not connected to the broker")]
    Disconnected,
    /// The connection was closed on purpose and does not come back.
    #[error("the connection to the broker is closed")]
    Closed,
    /// Nothing came back in time.
    #[error("{what}: no answer within {after:?}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// Nobody is subscribed to the subject.
    #[error("nobody answers on {subject}")]
    NoResponders {
        /// The subject.
        subject: String,
    },
    /// The service answered with an error.
    #[error(transparent)]
    Service(ErrorDetail),
    /// The message is larger than the broker takes.
    #[error(
        "message of {bytes} bytes is over the broker's limit of {limit}: raise max_payload or send less at once"
    )]
    TooLarge {
        /// The size of the message with its headers.
        bytes: usize,
        /// What the broker takes.
        limit: usize,
    },
    /// A stored object is larger than whoever reads it takes.
    #[error("object {name} has {bytes} bytes, the limit is {limit} bytes")]
    ObjectTooLarge {
        /// The object.
        name: String,
        /// Its size.
        bytes: u64,
        /// What is taken.
        limit: u64,
    },
    /// So much is under way already that no more is begun.
    #[error("{limit} {what} are under way already")]
    Overloaded {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Someone else changed the value first.
    #[error("{key} was changed by someone else")]
    Conflict {
        /// The key.
        key: String,
    },
    /// A name, subject or option is not usable.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// What kind of thing.
        what: &'static str,
        /// The value and what is wrong with it.
        reason: String,
    },
    /// What is stored or was answered is not what it should be.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// What was read.
        what: String,
        /// What the decoder says.
        reason: String,
    },
    /// A stream, bucket or object does not exist.
    #[error("{what} does not exist")]
    Missing {
        /// Its kind and name.
        what: String,
    },
    /// A stored object is not the one that its name promises.
    #[error("object {name} is damaged: {reason}")]
    Damaged {
        /// The object.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A stream or bucket has other properties than it should and could not be changed.
    #[error("{asset} differs from what is required: {difference}")]
    Drifted {
        /// The stream behind the asset.
        asset: String,
        /// The fields, found and required.
        difference: String,
    },
    /// The storage layer of the broker refused.
    #[error("the broker refuses: {description} (code {code})")]
    Storage {
        /// The JetStream error code.
        code: u64,
        /// What the broker says.
        description: String,
    },
}

impl Error {
    /// Whether the same call may succeed in a moment.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Disconnected
            | Self::Timeout { .. }
            | Self::NoResponders { .. }
            | Self::Overloaded { .. }
            | Self::Conflict { .. } => true,
            Self::Service(detail) => detail.retryable,
            Self::Storage { code, .. } => TRANSIENT_CODES.contains(code),
            _ => false,
        }
    }

    /// The contract's code for it, for answers to callers.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Service(detail) => detail.error_code(),
            Self::Disconnected | Self::Closed | Self::NoResponders { .. } | Self::Connect { .. } => {
                ErrorCode::Unavailable
            }
            Self::Storage { .. } if self.is_retryable() => ErrorCode::Unavailable,
            Self::Timeout { .. } => ErrorCode::DeadlineExceeded,
            Self::TooLarge { .. } | Self::ObjectTooLarge { .. } => ErrorCode::TooLarge,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::Invalid { .. } => ErrorCode::InvalidArgument,
            Self::Missing { .. } => ErrorCode::NotFound,
            Self::Unauthorized { .. } => ErrorCode::Unauthenticated,
            Self::Refused(_)
            | Self::Decode { .. }
            | Self::Damaged { .. }
            | Self::Drifted { .. }
            | Self::Storage { .. } => ErrorCode::Internal,
        }
    }

    /// For `map_err`: what was read is not the document it should be.
    pub(crate) fn decode(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |error| Self::Decode { what, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_layer_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
        let storage = |code| Error::Storage { code, description: String::new() };
        for code in TRANSIENT_CODES {
            assert!(storage(code).is_retryable() && storage(code).code() == ErrorCode::Unavailable, "{code}");
        }
        for code in [400, 10_047, 10_059, 10_077] {
            assert!(!storage(code).is_retryable() && storage(code).code() == ErrorCode::Internal, "{code}");
        }
    }
}
