//! A stream as a log: append, and follow from anywhere, across restarts of the broker.

use bytes::Bytes;
use futures_util::Stream;
use leat_contract::headers::MESSAGE_ID;
use leat_contract::{Encoding, ErrorBody, ErrorDetail};

use crate::jetstream::JetStream;
use crate::publish::PUBLISH_PATIENCE;
use crate::reader::{LISTING_TIMEOUT, Read, Reader, Start};
use crate::reply::{error_headers, judge};
use crate::{Error, Headers, Message, Reply, Stored, StoredMessage, trace};

/// A stream that keeps messages up to its limits.
#[derive(Debug, Clone)]
pub struct EventLog {
    jetstream: JetStream,
    stream: String,
}

/// From where a log is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// From the oldest message that is kept.
    Beginning,
    /// What is published from now on.
    Now,
    /// What stands behind the message with this sequence.
    After(u64),
    /// The last message of every subject, then what follows.
    LastPerSubject,
}

impl EventLog {
    pub(crate) fn new(jetstream: JetStream, stream: String) -> Self {
        Self { jetstream, stream }
    }

    /// Appends a message and waits until it is stored.
    ///
    /// A message id makes it safe to call again: a second message with the same id within two minutes is dropped.
    /// Without an id the message is not repeated when the outcome of an attempt is unknown.
    pub async fn publish(
        &self,
        subject: impl Into<async_nats::Subject>,
        message_id: Option<&str>,
        payload: impl Into<Bytes>,
    ) -> Result<Stored, Error> {
        let mut headers = Headers::new();
        if let Some(id) = message_id {
            headers.insert(MESSAGE_ID, id);
        }
        trace::inject(&mut headers);
        self.jetstream.publish(subject, headers, payload, PUBLISH_PATIENCE).await
    }

    /// Appends an error as the answer to a request, with the headers of ADR-32; otherwise as [`EventLog::publish`].
    pub async fn publish_error(
        &self,
        subject: impl Into<async_nats::Subject>,
        message_id: &str,
        detail: &ErrorDetail,
        encoding: Encoding,
    ) -> Result<Stored, Error> {
        let body = ErrorBody { error: detail.clone() };
        let payload = leat_contract::encode(encoding, &body)
            .map_err(|error| Error::Invalid { what: "error body", reason: error.to_string() })?;
        let headers = error_headers(detail).with(MESSAGE_ID, message_id);
        self.jetstream.publish(subject, headers, payload, PUBLISH_PATIENCE).await
    }

    /// The last message on a subject; none when there is none.
    pub async fn last(&self, subject: &str) -> Result<Option<Message>, Error> {
        self.jetstream.last(&self.stream, subject).await
    }

    /// The last message on a subject as an answer; none when there is none, and the error when it is one.
    pub async fn last_reply(&self, subject: &str) -> Result<Option<Reply>, Error> {
        self.last(subject).await?.map(judge).transpose()
    }

    /// Removes the message with a sequence; it is no error when it is gone already.
    pub async fn remove(&self, sequence: u64) -> Result<(), Error> {
        self.jetstream.remove_message(&self.stream, sequence).await
    }

    /// Appends a message with headers of its own to whatever stream takes its subject, and waits until it is stored.
    pub async fn resend(
        &self,
        subject: &str,
        headers: Headers,
        payload: impl Into<Bytes>,
    ) -> Result<Stored, Error> {
        self.jetstream.publish(subject.to_owned(), headers, payload, PUBLISH_PATIENCE).await
    }

    /// Follows the messages whose subject matches `filter` (which may contain wildcards).
    pub fn follow(&self, filter: &str, from: Position) -> Follower {
        let (start, skip_before) = match from {
            Position::Beginning => (Start::First, 0),
            Position::Now => (Start::New, 0),
            Position::After(sequence) => (Start::After(sequence), sequence),
            Position::LastPerSubject => (Start::LastPerSubject, 0),
        };
        let reader = Reader::new(self.jetstream.clone(), self.stream.clone(), filter.to_owned(), start);
        Follower { reader, given: skip_before, repeats: start == Start::LastPerSubject }
    }

    /// How many messages the stream keeps.
    pub async fn messages(&self) -> Result<u64, Error> {
        Ok(self.jetstream.stream_info(&self.stream).await?.state.messages)
    }

    /// The sequence of the last message that was stored, whether it is kept or not; 0 before the first one.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        Ok(self.jetstream.stream_info(&self.stream).await?.state.last_seq)
    }
}

/// The messages of a log, in order and each once, for as long as someone reads.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    given: u64,
    repeats: bool,
}

impl Follower {
    /// Waits until the following has begun, which otherwise happens at the first call of [`Follower::next`].
    /// With [`Position::Now`] it decides what is new.
    pub async fn begun(&mut self) {
        self.reader.opened().await;
    }

    /// The next message. It waits as long as it takes; dropping the future loses nothing.
    pub async fn next(&mut self) -> StoredMessage {
        loop {
            let Read::Message(message) = self.reader.next().await else { continue };
            // After an interruption the last message of every subject is read once more.
            if !self.repeats || message.sequence() > self.given {
                self.given = message.sequence();
                return message;
            }
        }
    }

    /// The messages that are there now, up to `max`: for listings that end. Fails when that takes over 30 s.
    pub async fn take_stored(&mut self, max: usize) -> Result<Vec<StoredMessage>, Error> {
        let mut messages = Vec::new();
        let listing = tokio::time::timeout(LISTING_TIMEOUT, self.read_stored(&mut messages, max));
        let timeout = |_| Error::Timeout { what: "listing of a log".to_owned(), after: LISTING_TIMEOUT };
        listing.await.map_err(timeout)?;
        Ok(messages)
    }

    async fn read_stored(&mut self, messages: &mut Vec<StoredMessage>, max: usize) {
        while messages.len() < max {
            match self.reader.next().await {
                Read::Opened { pending: 0 } | Read::Exhausted => break,
                Read::Opened { .. } => {}
                Read::Message(message) => {
                    let is_last = message.pending() == 0;
                    self.given = message.sequence();
                    messages.push(message);
                    if is_last {
                        break;
                    }
                }
            }
        }
    }

    /// The same as a stream that never ends.
    pub fn into_stream(self) -> impl Stream<Item = StoredMessage> + Send {
        futures_util::stream::unfold(self, |mut follower| async move {
            let message = follower.next().await;
            Some((message, follower))
        })
    }
}
