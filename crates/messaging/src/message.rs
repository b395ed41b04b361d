//! A received message.

use std::fmt;

use async_nats::{StatusCode, Subject};
use bytes::Bytes;

use crate::Headers;
use crate::headers::lookup;

/// A received message: a view without copies of what the client library delivered.
#[derive(Clone)]
#[repr(transparent)]
pub struct Message(pub(crate) async_nats::Message);

impl Message {
    /// The subject it was published on.
    pub fn subject(&self) -> &str {
        self.0.subject.as_str()
    }

    /// Its content. It may keep up to 64 KiB of neighbouring messages alive: copy what is to be kept for long.
    pub fn payload(&self) -> &Bytes {
        &self.0.payload
    }

    /// Takes the content out.
    pub fn into_payload(self) -> Bytes {
        self.0.payload
    }

    /// Takes out where an answer is expected, if anywhere, and the content. A hot path has both without the memory that a first clone of
    /// a subject takes.
    pub fn into_parts(self) -> (Option<Subject>, Bytes) {
        (self.0.reply, self.0.payload)
    }

    /// Where an answer is expected, if anywhere. Cloning a subject copies no text.
    pub fn reply(&self) -> Option<&Subject> {
        self.0.reply.as_ref()
    }

    /// A header's last value.
    pub fn header(&self, name: &str) -> Option<&str> {
        lookup(self.0.headers.as_ref()?, name)
    }

    /// Whether there are headers at all, so that a hot path need not look for one.
    pub fn has_headers(&self) -> bool {
        self.0.headers.is_some()
    }

    /// A copy of all its headers.
    pub(crate) fn headers(&self) -> Headers {
        self.0.headers.clone().map(Headers::from).unwrap_or_default()
    }

    /// What the server itself says with this message, if it comes from the server.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    pub(crate) fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("subject", &self.subject())
            .field("payload_bytes", &self.0.payload.len())
            .field("reply", &self.0.reply.as_deref())
            .finish()
    }
}
