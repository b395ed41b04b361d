//! Why the catalogue could not be read or changed.

use std::time::Duration;

use leat_contract::{ErrorCode, ModelName, ModelRef, ModelVersion, WorkerId};

/// Why the catalogue could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker did not do what was asked.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),
    /// The result would be no valid document.
    #[error(transparent)]
    Contract(#[from] leat_contract::Error),
    /// There is no such model, version or alias.
    #[error("no such model version: {reference}")]
    UnknownVersion {
        /// What was asked for.
        reference: ModelRef,
        /// The versions there are, oldest first.
        known: Vec<ModelVersion>,
    },
    /// The model is not deployed.
    #[error("no such deployment: {model}")]
    NotDeployed {
        /// The model.
        model: ModelName,
    },
    /// Versions that should answer together cannot.
    #[error("{reason}")]
    Unfit {
        /// Which, and why.
        reason: String,
    },
    /// A deployment needs the version, or would after a rollback.
    #[error(
        "{reference} is needed by the deployment of {model}, or by what a rollback of it would go back to"
    )]
    Needed {
        /// The version.
        reference: String,
        /// Whose deployment.
        model: ModelName,
    },
    /// The routes have never been others.
    #[error("{model} has had no other routes; there is nothing to go back to")]
    NothingBefore {
        /// The model.
        model: ModelName,
    },
    /// A worker cannot load a version that it should serve.
    #[error("{worker} cannot load {model}@{version}: {reason}")]
    CannotLoad {
        /// Which worker.
        worker: WorkerId,
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
        /// What the worker says.
        reason: String,
    },
    /// Not every worker followed in time.
    #[error("{applied} of {live} workers serve {model} after {after:?}")]
    NotServed {
        /// The model.
        model: ModelName,
        /// The workers that have followed.
        applied: usize,
        /// The workers that are alive.
        live: usize,
        /// How long was waited.
        after: Duration,
    },
}

impl Error {
    pub(crate) fn unfit(reason: String) -> Self {
        Self::Unfit { reason }
    }

    /// The code a caller gets for this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Messaging(error) => error.code(),
            Self::Contract(error) => error.code(),
            Self::UnknownVersion { .. } | Self::NotDeployed { .. } => ErrorCode::NotFound,
            Self::NothingBefore { .. } | Self::Unfit { .. } | Self::Needed { .. } => {
                ErrorCode::InvalidArgument
            }
            Self::CannotLoad { .. } => ErrorCode::Internal,
            Self::NotServed { .. } => ErrorCode::Unavailable,
        }
    }
}
