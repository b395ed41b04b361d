//! What can go wrong in a worker, each case with the code that a producer or the lease gets.

use std::path::PathBuf;
use std::time::Duration;

use leat_contract::{ErrorCode, ErrorDetail};
use leat_messaging::Error as MessagingError;

/// Why a request was not answered with a result, a version not loaded, or the worker not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The message breaks the contract.
    #[error(transparent)]
    Contract(#[from] leat_contract::Error),
    /// The message is well-formed, but it is no request to this model.
    #[error("{reason}")]
    Request {
        /// What is wrong, naming the value.
        reason: String,
    },
    /// More rows than this worker takes in one request.
    #[error(
        "the request has {rows} rows, the limit is {rows_max} rows (setting inference_worker.batch_rows_max)"
    )]
    BatchTooLarge {
        /// Rows of the request.
        rows: usize,
        /// The most rows a request may have.
        rows_max: usize,
    },
    /// The answer does not fit into one message of the broker.
    #[error(
        "the reply has {bytes} bytes, the limit of the broker is {bytes_max} bytes (setting max_payload of nats-server): send fewer rows in one request"
    )]
    ReplyTooLarge {
        /// Bytes of the reply.
        bytes: usize,
        /// The broker's limit.
        bytes_max: usize,
    },
    /// The answer is larger than its caller takes, also as an object.
    #[error(
        "the reply has {bytes} bytes, its caller takes {bytes_max} bytes (through the gateway: setting gateway.object_bytes_max)"
    )]
    ReplyOverAccepted {
        /// Bytes of the reply.
        bytes: usize,
        /// What the caller takes.
        bytes_max: usize,
    },
    /// The object that shall be the body of a request is not there.
    #[error("there is no object {name:?} to be the body of the request")]
    BodyMissing {
        /// The start of the name that the request gave.
        name: String,
    },
    /// The object is larger than a body may be.
    #[error("the body of the request is an object of {bytes} bytes, the limit is {bytes_max} bytes (setting inference_worker.objects_bytes_max, and never more than {most} bytes)", most = leat_contract::limits::PAYLOAD_BYTES_MAX)]
    BodyTooLarge {
        /// Bytes of the object.
        bytes: u64,
        /// What a body may have.
        bytes_max: u64,
    },
    /// The store did not give or take a body in time.
    #[error("an object with a body was not {what} within {after:?}")]
    BodySlow {
        /// What should have been done with it.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The bounded queue is full, or a request would wait in it for too long.
    #[error("{reason}")]
    Overloaded {
        /// Which limit was reached.
        reason: String,
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The caller did not want the request to wait for so long.
    #[error("the request waited in the queue for its timeout of {timeout_us} us")]
    WaitedTooLong {
        /// How long it was ready to wait.
        timeout_us: u64,
    },
    /// The caller no longer waits.
    #[error("the deadline of {deadline_ms} ms passed before the request was answered")]
    Expired {
        /// What the caller was ready to wait.
        deadline_ms: u64,
    },
    /// No version answers the live route, or the worker leaves.
    #[error("{reason}")]
    Unavailable {
        /// Why, for the caller.
        reason: String,
    },
    /// Models that shall answer together do not fit.
    #[error("the pipeline cannot run: {reason}")]
    Pipeline {
        /// Why not.
        reason: String,
    },
    /// The model alone takes more memory than the worker has for all.
    #[error("the model takes {bytes} bytes in memory, the memory budget of this worker is {bytes_max} bytes")]
    OverBudget {
        /// Bytes of its plan.
        bytes: usize,
        /// The budget.
        bytes_max: usize,
    },
    /// The blob is not a model.
    #[error("the model cannot be read")]
    Model(#[from] leat_model::Error),
    /// The model cannot be compiled, or a batch cannot be run.
    #[error(transparent)]
    Engine(#[from] leat_engine::Error),
    /// A plan broke one of its own rules.
    #[error("the plan of {version} panicked: this is a defect of the engine")]
    Panicked {
        /// Which model version.
        version: String,
    },
    /// The folder in which blobs are to be kept cannot be made or written.
    #[error(
        "the folder {} for models cannot be used (setting inference_worker.blob_cache_folder): {reason}",
        folder.display()
    )]
    BlobCache {
        /// Which one.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The broker could not be asked.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),
    /// A thread cannot be started, or ended unexpectedly.
    #[error("the {name} thread failed: {reason}")]
    Thread {
        /// Which one.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    pub(crate) fn request(reason: impl Into<String>) -> Self {
        Self::Request { reason: reason.into() }
    }

    pub(crate) fn pipeline(reason: impl Into<String>) -> Self {
        Self::Pipeline { reason: reason.into() }
    }

    /// The code that a producer gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Contract(error) => error.code(),
            Self::Request { .. } => ErrorCode::InvalidArgument,
            Self::Engine(leat_engine::Error::NotFinite { .. } | leat_engine::Error::Overflow { .. }) => {
                ErrorCode::InvalidArgument
            }
            Self::BatchTooLarge { .. }
            | Self::ReplyTooLarge { .. }
            | Self::ReplyOverAccepted { .. }
            | Self::BodyTooLarge { .. } => ErrorCode::TooLarge,
            Self::BodyMissing { .. } => ErrorCode::NotFound,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Expired { .. } | Self::WaitedTooLong { .. } => ErrorCode::DeadlineExceeded,
            Self::Pipeline { .. }
            | Self::OverBudget { .. }
            | Self::Model(_)
            | Self::Engine(_)
            | Self::Panicked { .. }
            // Trying again does not help.
            | Self::Messaging(MessagingError::Missing { .. } | MessagingError::Damaged { .. })
            | Self::BlobCache { .. }
            | Self::Thread { .. } => ErrorCode::Internal,
            Self::Unavailable { .. } | Self::BodySlow { .. } | Self::Messaging(_) => ErrorCode::Unavailable,
        }
    }

    /// This error as the body of a refusal or the reason in a lease, with its causes.
    pub fn detail(&self) -> ErrorDetail {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        let detail = ErrorDetail::new(self.code(), message);
        match self {
            Self::Overloaded { retry_after_ms, .. } => detail.retry_after(*retry_after_ms),
            _ => detail,
        }
    }
}
