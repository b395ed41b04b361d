//! One piece of work in the hands of a worker.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use leat_contract::headers::{
    ACCEPTED_MESSAGE_ID, ACCEPTED_MS, DEAD_ATTEMPTS, DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SEQUENCE,
    DEAD_STREAM, DEAD_SUBJECT, DEAD_TRUNCATED, FAILED_ATTEMPTS, MESSAGE_ID,
};
use serde_json::json;
use tokio::time::Instant;

use super::{ATTEMPTS_MAX, PROGRESS_EVERY, QueueIdentity};
use crate::jetstream::{JetStream, nanoseconds};
use crate::jitter::jittered;
use crate::publish::PUBLISH_PATIENCE;
use crate::{Error, Headers, Message, StoredMessage};

/// How long the end of work is told to a broker that is away. Less than the ack wait: afterwards it is given again.
const END_PATIENCE: Duration = Duration::from_secs(10);
const END_TIMEOUT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(250);

/// One piece of work. It is ended by exactly one of [`Delivery::done`], [`Delivery::retry_later`], [`Delivery::give_back`],
/// [`Delivery::hand_over`] and [`Delivery::dead_letter`]; when it is dropped instead, another worker gets it after 15 s.
#[derive(Debug)]
pub struct Delivery {
    jetstream: JetStream,
    queue: QueueIdentity,
    message: StoredMessage,
}

impl Delivery {
    /// How often work is tried before it becomes a dead letter.
    pub const ATTEMPTS_MAX: u64 = ATTEMPTS_MAX;
    /// How often [`Delivery::progress`] must be called while the work goes on.
    pub const PROGRESS_EVERY: Duration = PROGRESS_EVERY;

    pub(super) fn new(jetstream: JetStream, queue: QueueIdentity, message: StoredMessage) -> Self {
        Self { jetstream, queue, message }
    }

    /// The subject it was submitted on.
    pub fn subject(&self) -> &str {
        self.message.subject()
    }

    /// Its content.
    pub fn payload(&self) -> &Bytes {
        self.message.payload()
    }

    /// Which attempt this is, from 1. One that ended by [`Delivery::hand_over`] does not count.
    pub fn attempt(&self) -> u64 {
        let failed = self.number(FAILED_ATTEMPTS).unwrap_or(0);
        self.message.place().delivered.saturating_add(failed)
    }

    /// Whether no further attempt will follow this one.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt() >= ATTEMPTS_MAX
    }

    /// Its place in the stream, the same in every attempt until it is handed over.
    pub fn sequence(&self) -> u64 {
        self.message.sequence()
    }

    /// When it was accepted, in Unix milliseconds.
    pub fn accepted_at_ms(&self) -> u64 {
        let stored_at = self.message.stored_at_ms();
        self.number(ACCEPTED_MS).map_or(stored_at, |accepted| accepted.min(stored_at))
    }

    /// The message itself, for [`crate::trace::extract`].
    pub fn message(&self) -> &Message {
        self.message.message()
    }

    /// Says that the work goes on, which gives 15 s more. Cheap: nothing is waited for.
    pub async fn progress(&self) -> Result<(), Error> {
        self.jetstream.connection.publish(self.reply(), "+WPI").await
    }

    /// Ends it: the work is done, and the broker has confirmed that nobody gets it again.
    pub async fn done(self) -> Result<(), Error> {
        self.end("+ACK".into(), Ending::Removed).await
    }

    /// Gives it back because of `reason`; some worker gets it after `delay`. The last attempt ends as a dead letter.
    pub async fn retry_later(self, delay: Duration, reason: &str) -> Result<(), Error> {
        if self.is_last_attempt() {
            return self.dead_letter(reason).await;
        }
        tracing::warn!(
            subject = self.subject(),
            attempt = self.attempt(),
            ?delay,
            reason,
            "work will be tried again"
        );
        self.give_back(delay).await
    }

    /// Gives it back as it is, also after the last attempt: for callers that count attempts themselves.
    pub async fn give_back(self, delay: Duration) -> Result<(), Error> {
        let payload = format!("-NAK {}", json!({ "delay": nanoseconds(delay) }));
        self.end(payload.into(), Ending::GivenBack).await
    }

    /// Gives it to another worker as if it had never been taken: for a worker that leaves in order, or that the broker may no longer know.
    ///
    /// The broker counts how often it gave something out, however that ended. So a copy, which knows what was before, takes the
    /// place of the message, at the end of the queue. Where there is no room for the copy the message itself is given
    /// back, and the attempt counts.
    pub async fn hand_over(self) -> Result<(), Error> {
        let (subject, payload) = (self.subject().to_owned(), self.payload().clone());
        let copied = self.jetstream.publish(subject, self.headers_of_copy(), payload, PUBLISH_PATIENCE).await;
        match copied {
            Ok(_) => self.end("+ACK".into(), Ending::Removed).await,
            Err(Error::Storage { .. } | Error::TooLarge { .. }) => self.give_back(Duration::ZERO).await,
            Err(error) => Err(error),
        }
    }

    fn headers_of_copy(&self) -> Headers {
        let (stream, sequence) = (&self.queue.stream, self.sequence());
        let mut headers = self.message.message().headers().without_instructions();
        headers.insert(ACCEPTED_MS, self.accepted_at_ms().to_string());
        headers.insert(FAILED_ATTEMPTS, self.attempt().saturating_sub(1).to_string());
        if let Some(id) = self.submitted_as() {
            headers.insert(ACCEPTED_MESSAGE_ID, id);
        }
        // With the id it was submitted with, the stream would take it for the same message once more and drop it.
        headers.with(MESSAGE_ID, format!("handed-over-{stream}-{sequence}"))
    }

    /// The id that whoever submitted it gave it.
    fn submitted_as(&self) -> Option<&str> {
        self.message.header(ACCEPTED_MESSAGE_ID).or_else(|| self.message.header(MESSAGE_ID))
    }

    fn number(&self, header: &str) -> Option<u64> {
        self.message.header(header)?.parse().ok()
    }

    /// Ends it as a dead letter: a copy with the reason in its headers is kept, and nobody gets it again.
    ///
    /// The copy has the headers of the message. Content that does not fit beside the reason is left out, and a header
    /// says how much it was.
    pub async fn dead_letter(self, reason: &str) -> Result<(), Error> {
        self.keep_letter(reason).await?;
        let (subject, sequence, attempt) = (self.subject(), self.sequence(), self.attempt());
        tracing::warn!(subject, sequence, attempt, reason, "work given up");
        self.end("+TERM".into(), Ending::Removed).await
    }

    /// Publishes as much of the dead letter as the broker takes: all, all but the content, or only the reason.
    async fn keep_letter(&self, reason: &str) -> Result<(), Error> {
        let own = self.message.message().headers().without_instructions();
        let bytes = self.payload().len().to_string();
        let whole = (self.add_reason(own.clone(), reason), self.payload().clone());
        let empty = (self.add_reason(own, reason).with(DEAD_TRUNCATED, &bytes), Bytes::new());
        let least = (self.add_reason(Headers::new(), reason).with(DEAD_TRUNCATED, &bytes), Bytes::new());
        let mut outcome = Ok(());
        for (headers, payload) in [whole, empty, least] {
            let subject = self.queue.dead_letter_subject.clone();
            let kept = self.jetstream.publish(subject, headers, payload, PUBLISH_PATIENCE).await;
            outcome = kept.map(|_| ());
            if !matches!(outcome, Err(Error::TooLarge { .. })) {
                break;
            }
        }
        outcome
    }

    fn add_reason(&self, headers: Headers, reason: &str) -> Headers {
        let sequence = self.sequence().to_string();
        let mut headers = headers
            .with(DEAD_REASON, reason)
            .with(DEAD_SUBJECT, self.subject())
            .with(DEAD_STREAM, &self.queue.stream)
            .with(DEAD_SEQUENCE, &sequence)
            .with(DEAD_ATTEMPTS, self.attempt().to_string())
            .with(MESSAGE_ID, format!("dead-{}-{sequence}", self.queue.stream));
        if let Some(id) = self.submitted_as() {
            headers.insert(DEAD_MESSAGE_ID, id);
        }
        headers
    }

    fn reply(&self) -> Subject {
        // A stored message was read from this very subject.
        self.message.message().reply().cloned().unwrap_or_else(|| Subject::from_static("unreachable"))
    }

    /// Tells the end until the broker confirms it.
    ///
    /// A broker that crashed may have forgotten that the work was given out, and then it does not answer. The work
    /// counts as never given: to give it back there is nothing to do, and to end it the message itself is removed.
    async fn end(self, verdict: Bytes, ending: Ending) -> Result<(), Error> {
        let deadline = Instant::now() + END_PATIENCE;
        loop {
            let error = match self.tell(verdict.clone()).await {
                Err(Error::Timeout { .. }) if self.jetstream.connection.is_connected() => match ending {
                    Ending::GivenBack => return Ok(()),
                    Ending::Removed => {
                        self.jetstream.remove_message(&self.queue.stream, self.sequence()).await.err()
                    }
                },
                told => told.err(),
            };
            match error {
                None => return Ok(()),
                Some(error) if !error.is_retryable() || Instant::now() >= deadline => return Err(error),
                Some(_) => tokio::time::sleep(jittered(PAUSE)).await,
            }
        }
    }

    async fn tell(&self, verdict: Bytes) -> Result<(), Error> {
        let connection = &self.jetstream.connection;
        connection.exchange(self.reply(), Headers::new(), verdict, END_TIMEOUT).await.map(|_| ())
    }
}

/// What an end means for the message.
#[derive(Clone, Copy)]
enum Ending {
    Removed,
    GivenBack,
}
