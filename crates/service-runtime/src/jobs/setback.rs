//! Why an attempt at a job did not succeed.

use leat_contract::ErrorDetail;
use leat_messaging::Error as MessagingError;

use super::Failure;

/// Why an attempt at a job did not succeed.
#[derive(Debug)]
pub(super) enum Setback {
    /// The job cannot be done.
    Refused(ErrorDetail),
    /// The attempt failed, the next one may not.
    Retry(ErrorDetail),
    /// Somebody asked for the end of the job.
    Cancelled,
    /// This instance stops; another one goes on.
    HandedOver,
    /// Another worker has the job, or it has ended. Nothing may be written any more.
    Lost,
    /// The computation shows no sign of life.
    Stalled,
}

impl From<MessagingError> for Setback {
    fn from(error: MessagingError) -> Self {
        match Failure::from(error) {
            Failure::Refused(detail) => Self::Refused(detail),
            Failure::Transient(detail) => Self::Retry(detail),
            Failure::Stopped => Self::Lost,
        }
    }
}
