//! One piece of work in the hands of a worker.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use leat_contract::headers::{ACCEPTED_MESSAGE_ID, ACCEPTED_MS, FAILED_ATTEMPTS, MESSAGE_ID};
use serde_json::json;
use tokio::time::Instant;

use super::letter::{self, Letter};
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
        let failed = letter::number(self.message(), FAILED_ATTEMPTS).unwrap_or(0);
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
        letter::accepted_at_ms(self.message(), self.message.stored_at_ms())
    }

    /// The message id that whoever submitted it gave it, also after it was handed over.
    pub fn submitted_as(&self) -> Option<&str> {
        letter::submitted_as(self.message())
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
        if let Some(id) = letter::submitted_as(self.message()) {
            headers.insert(ACCEPTED_MESSAGE_ID, id);
        }
        // With the id it was submitted with, the stream would take it for the same message once more and drop it.
        headers.with(MESSAGE_ID, format!("handed-over-{stream}-{sequence}"))
    }

    /// Ends it as a dead letter: a copy with the reason in its headers is kept, and nobody gets it again.
    ///
    /// The copy has the headers of the message. Content that does not fit beside the reason is left out, and a header
    /// says how much it was.
    pub async fn dead_letter(self, reason: &str) -> Result<(), Error> {
        let letter = Letter {
            stream: &self.queue.stream,
            subject: self.subject(),
            sequence: self.sequence(),
            attempts: self.attempt(),
            message: self.message(),
        };
        letter.keep(&self.jetstream, &self.queue.dead_letter_subject, reason).await?;
        self.end("+TERM".into(), Ending::Removed).await
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
