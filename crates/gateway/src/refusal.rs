//! Why a request is not answered with a result, in the terms of the contract, of HTTP and of gRPC.

use std::time::Duration;

use http::StatusCode;
use leat_contract::{ErrorCode, ErrorDetail};

/// A broker that is away or does not keep up is asked again after this.
const BROKER_PAUSE: Duration = Duration::from_secs(1);

/// Why a request is not answered with a result.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// The status of HTTP, which knows a few cases that the contract does not.
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// The methods that the path has, when another was used.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::from(ErrorDetail::new(code, message))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::TooLarge, message)
    }

    /// A path that exists, asked with a method that it does not have.
    pub(crate) fn method(allow: &'static str) -> Self {
        let refusal = Self::invalid(format!("this path takes {allow}"));
        Self { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(allow), ..refusal }
    }

    /// A part of a protocol that Leat does not have.
    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        let refusal = Self::invalid(format!("{what} is not supported"));
        Self { status: StatusCode::NOT_IMPLEMENTED, ..refusal }
    }

    /// A client that took too long to say what it wants.
    pub(crate) fn slow(message: impl Into<String>) -> Self {
        Self { status: StatusCode::REQUEST_TIMEOUT, ..Self::new(ErrorCode::DeadlineExceeded, message) }
    }

    pub(crate) fn retry_after(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    /// The pause in whole seconds, as HTTP has it; at least one.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|pause| pause.as_secs() + u64::from(pause.subsec_nanos() > 0)).map(|s| s.max(1))
    }

    /// The same in the terms of gRPC.
    pub(crate) fn grpc_code(&self) -> tonic::Code {
        if self.status == StatusCode::NOT_IMPLEMENTED {
            return tonic::Code::Unimplemented;
        }
        match self.code {
            ErrorCode::InvalidArgument => tonic::Code::InvalidArgument,
            ErrorCode::Unauthenticated => tonic::Code::Unauthenticated,
            ErrorCode::PermissionDenied => tonic::Code::PermissionDenied,
            ErrorCode::NotFound => tonic::Code::NotFound,
            ErrorCode::Conflict => tonic::Code::Aborted,
            // What tonic itself says of a message over its limit.
            ErrorCode::TooLarge => tonic::Code::OutOfRange,
            ErrorCode::Overloaded => tonic::Code::ResourceExhausted,
            ErrorCode::Internal => tonic::Code::Internal,
            ErrorCode::Unavailable => tonic::Code::Unavailable,
            ErrorCode::DeadlineExceeded => tonic::Code::DeadlineExceeded,
        }
    }
}

impl From<ErrorDetail> for Refusal {
    fn from(detail: ErrorDetail) -> Self {
        let code = detail.error_code();
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = detail.retry_after_ms.map(Duration::from_millis);
        Self { code, status, message: detail.message, retry_after, allow: None }
    }
}

impl From<leat_contract::Error> for Refusal {
    fn from(error: leat_contract::Error) -> Self {
        error.detail().into()
    }
}

impl From<leat_messaging::Error> for Refusal {
    fn from(error: leat_messaging::Error) -> Self {
        match error {
            leat_messaging::Error::Service(detail) => detail.into(),
            error => {
                let refusal = Self::new(error.code(), error.to_string());
                if refusal.code.retryable() { refusal.retry_after(BROKER_PAUSE) } else { refusal }
            }
        }
    }
}

impl From<leat_catalogue::Error> for Refusal {
    fn from(error: leat_catalogue::Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let mut status = Self::new(refusal.grpc_code(), refusal.message.clone());
        let pause = refusal.retry_after_seconds().and_then(|seconds| seconds.to_string().parse().ok());
        if let Some(pause) = pause {
            status.metadata_mut().insert("retry-after", pause);
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_contract_has_a_status_in_both_protocols() {
        for code in ErrorCode::ALL {
            let refusal = Refusal::new(code, "why");
            assert_eq!(refusal.status.as_u16(), code.status());
            assert_ne!(refusal.grpc_code(), tonic::Code::Unknown);
        }
        assert_eq!(Refusal::unsupported("it").grpc_code(), tonic::Code::Unimplemented);
    }

    #[test]
    fn a_pause_is_told_in_whole_seconds() {
        let refusal = Refusal::new(ErrorCode::Overloaded, "full").retry_after(Duration::from_millis(20));
        assert_eq!(refusal.retry_after_seconds(), Some(1));
        let status = tonic::Status::from(refusal);
        assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
    }
}
