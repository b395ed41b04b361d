//! Why a job does not give a version, as the service that works on it sees it.

use leat_contract::{ErrorCode, ErrorDetail};
use leat_messaging::Error as MessagingError;

/// Why a job does not give a version.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// It cannot be done as it was asked for, however often it is tried.
    Refused(ErrorDetail),
    /// It may be done later, or elsewhere.
    Transient(ErrorDetail),
    /// The computation ended because [`super::Pulse`] said so.
    Stopped,
}

impl Failure {
    /// A refusal with the text for a person.
    pub fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(ErrorDetail::new(code, message))
    }
}

impl From<MessagingError> for Failure {
    /// What the broker cannot do now it may do later. What is not there, damaged or not what it should be stays so.
    fn from(error: MessagingError) -> Self {
        let detail = ErrorDetail::new(error.code(), error.to_string());
        let stays_so = matches!(
            error,
            MessagingError::Missing { .. }
                | MessagingError::Damaged { .. }
                | MessagingError::Decode { .. }
                | MessagingError::Invalid { .. }
                | MessagingError::TooLarge { .. }
        );
        if stays_so { Self::Refused(detail) } else { Self::Transient(detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_refused_and_what_is_slow_is_tried_again() {
        let missing = Failure::from(MessagingError::Missing { what: "object x".to_owned() });
        assert_eq!(missing, Failure::refused(ErrorCode::NotFound, "object x does not exist"));
        assert!(matches!(Failure::from(MessagingError::Disconnected), Failure::Transient(_)));
        let full = MessagingError::Storage { code: 10_023, description: "insufficient resources".to_owned() };
        assert!(matches!(Failure::from(full), Failure::Transient(_)));
    }
}
