/// Why load cannot be made at all. What happens to single requests is a [`crate::Failure`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker cannot be used.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),
    /// There is no connection to an HTTP server.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Its host and port.
        address: String,
        /// What happened.
        reason: String,
    },
    /// What is asked for makes no sense.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// What kind of thing.
        what: &'static str,
        /// The value and what is wrong with it.
        reason: String,
    },
    /// Measured latencies do not fit together.
    #[error(transparent)]
    Statistics(#[from] leat_statistics::Error),
}

impl Error {
    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }
}
