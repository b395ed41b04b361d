//! Why the gateway cannot run. What a caller gets is a [`crate::refusal::Refusal`].

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker could not be used.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),
    /// A port cannot be taken.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// A file that the settings name cannot be used.
    #[error("{what} {path}: {reason}", path = path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: a file cannot be used.
    pub(crate) fn file<E: std::fmt::Display>(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| Self::File { what, path, reason: error.to_string() }
    }
}
