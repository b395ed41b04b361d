//! What is kept of a message that is given up, and what such a message says of its past.

use bytes::Bytes;
use leat_contract::headers::{
    ACCEPTED_MESSAGE_ID, ACCEPTED_MS, DEAD_ATTEMPTS, DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SEQUENCE,
    DEAD_STREAM, DEAD_SUBJECT, DEAD_TRUNCATED, MESSAGE_ID,
};

use crate::jetstream::{HEADERS_TOO_LARGE, JetStream};
use crate::publish::PUBLISH_PATIENCE;
use crate::{Error, Headers, Message};

/// What of a reason is kept.
const REASON_BYTES_MAX: usize = 1024;

/// A message that is given up, and where it comes from.
pub(super) struct Letter<'message> {
    pub(super) stream: &'message str,
    pub(super) subject: &'message str,
    pub(super) sequence: u64,
    pub(super) attempts: u64,
    pub(super) message: &'message Message,
}

impl Letter<'_> {
    /// Publishes as much of the dead letter as the broker takes: all, all but the content, or only the beginning of the reason.
    ///
    /// A second letter about the same message within two minutes is dropped.
    pub(super) async fn keep(
        &self,
        jetstream: &JetStream,
        dead_letter_subject: &str,
        reason: &str,
    ) -> Result<(), Error> {
        let reason = beginning(reason);
        let own = self.message.headers().without_instructions();
        let payload = self.message.payload();
        let bytes = payload.len().to_string();
        let whole = (self.add_reason(own.clone(), reason), payload.clone());
        let empty = (self.add_reason(own, reason).with(DEAD_TRUNCATED, &bytes), Bytes::new());
        let least = (self.add_reason(Headers::new(), reason).with(DEAD_TRUNCATED, &bytes), Bytes::new());
        let mut outcome = Ok(());
        for (headers, payload) in [whole, empty, least] {
            let subject = dead_letter_subject.to_owned();
            let kept = jetstream.publish(subject, headers, payload, PUBLISH_PATIENCE).await;
            outcome = kept.map(|_| ());
            if !outcome.as_ref().is_err_and(is_too_large) {
                break;
            }
        }
        if outcome.is_ok() {
            let (subject, sequence, attempts) = (self.subject, self.sequence, self.attempts);
            tracing::warn!(subject, sequence, attempts, reason, "work given up");
        }
        outcome
    }

    fn add_reason(&self, headers: Headers, reason: &str) -> Headers {
        let sequence = self.sequence.to_string();
        let mut headers = headers
            .with(DEAD_REASON, reason)
            .with(DEAD_SUBJECT, self.subject)
            .with(DEAD_STREAM, self.stream)
            .with(DEAD_SEQUENCE, &sequence)
            .with(DEAD_ATTEMPTS, self.attempts.to_string())
            .with(MESSAGE_ID, format!("dead-{}-{sequence}", self.stream));
        // What died before goes by the id that it had then.
        let id = self.message.header(DEAD_MESSAGE_ID).or_else(|| submitted_as(self.message));
        if let Some(id) = id {
            headers.insert(DEAD_MESSAGE_ID, id);
        }
        headers
    }
}

/// The reason, or its beginning: it may quote what a caller sent, and headers are small.
fn beginning(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or(reason)
}

fn is_too_large(error: &Error) -> bool {
    matches!(error, Error::TooLarge { .. } | Error::Storage { code: HEADERS_TOO_LARGE, .. })
}

/// The id that whoever submitted it gave it.
pub(super) fn submitted_as(message: &Message) -> Option<&str> {
    message.header(ACCEPTED_MESSAGE_ID).or_else(|| message.header(MESSAGE_ID))
}

/// When work was accepted, in Unix milliseconds: before it was stored, when it was handed over.
pub(super) fn accepted_at_ms(message: &Message, stored_at_ms: u64) -> u64 {
    number(message, ACCEPTED_MS).map_or(stored_at_ms, |accepted| accepted.min(stored_at_ms))
}

/// The number in a header.
pub(super) fn number(message: &Message, header: &str) -> Option<u64> {
    message.header(header)?.parse().ok()
}
