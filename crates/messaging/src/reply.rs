//! Replies as services give them: a result, or an error in headers and body (ADR-32).

use bytes::Bytes;
use leat_contract::{ErrorBody, ErrorCode, ErrorDetail, headers};

use crate::{Error, Headers, Message};

/// A reply that is no error.
#[derive(Debug, Clone)]
pub struct Reply(Message);

impl Reply {
    /// Its content.
    pub fn payload(&self) -> &Bytes {
        self.0.payload()
    }

    /// Takes the content out.
    pub fn into_payload(self) -> Bytes {
        self.0.into_payload()
    }

    /// A header's last value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    /// Reads a JSON reply.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.payload()).map_err(Error::decode("the reply"))
    }
}

/// Sorts a message into a result or the service's error.
pub(crate) fn judge(message: Message) -> Result<Reply, Error> {
    let text = message.header(headers::SERVICE_ERROR);
    let code = message.header(headers::SERVICE_ERROR_CODE);
    if text.is_none() && code.is_none() {
        return Ok(Reply(message));
    }
    // A service of ours repeats the error in the body, with more to it; any other has only the headers.
    if let Ok((body, _)) = leat_contract::decode::<ErrorBody>(message.payload()) {
        return Err(Error::Service(body.error));
    }
    let status = code.and_then(|code| code.parse::<u16>().ok()).unwrap_or(ErrorCode::Internal.status());
    let known = ErrorCode::from_status(status).unwrap_or(ErrorCode::Internal);
    let detail = ErrorDetail::new(known, text.unwrap_or("the service gave no reason"));
    Err(Error::Service(ErrorDetail { code: status, ..detail }))
}

/// The headers that make a reply an error.
pub(crate) fn error_headers(detail: &ErrorDetail) -> Headers {
    Headers::new()
        .with(headers::SERVICE_ERROR, detail.header_text())
        .with(headers::SERVICE_ERROR_CODE, detail.code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_short_and_printable_in_its_header() {
        let detail = ErrorDetail::new(ErrorCode::InvalidArgument, format!("bad\u{7}\t{}", "x".repeat(1000)));
        let made = error_headers(&detail);
        let text = made.get(headers::SERVICE_ERROR).unwrap();
        assert_eq!((text, text.chars().count()), (detail.header_text().as_str(), 256));
        assert!(!text.chars().any(char::is_control), "{text}");
    }
}
