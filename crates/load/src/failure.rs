use std::fmt;

use leat_messaging::Error as MessagingError;

/// Why one request got no answer, in few enough kinds to count them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody is subscribed to the subject.
    NoResponders,
    /// Nothing came back in time.
    Timeout,
    /// The connection was lost, or could not be made.
    Disconnected,
    /// A service answered with an error: the name of its code, for example `overloaded`.
    Service(String),
    /// An HTTP server answered with this status, 400 or more.
    Status(u16),
    /// The client did not send it: what it said.
    Unsendable(String),
}

impl Failure {
    /// Whether the next request meets the same at once, so that asking again without a pause would only spin.
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self, Self::Disconnected | Self::Unsendable(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponders => formatter.write_str("no responders"),
            Self::Timeout => formatter.write_str("timeout"),
            Self::Disconnected => formatter.write_str("disconnected"),
            Self::Service(name) => formatter.write_str(name),
            Self::Status(status) => write!(formatter, "http {status}"),
            Self::Unsendable(reason) => formatter.write_str(reason),
        }
    }
}

impl From<MessagingError> for Failure {
    fn from(error: MessagingError) -> Self {
        match error {
            MessagingError::NoResponders { .. } => Self::NoResponders,
            MessagingError::Timeout { .. } => Self::Timeout,
            MessagingError::Disconnected | MessagingError::Closed => Self::Disconnected,
            MessagingError::Service(detail) => Self::Service(detail.name),
            other => Self::Unsendable(other.to_string()),
        }
    }
}
