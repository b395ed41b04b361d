//! What a work queue holds, read without being taken: for whoever must know what nobody takes.

use jiff::Timestamp;
use leat_contract::headers::FAILED_ATTEMPTS;

use super::letter::{self, Letter};
use crate::jetstream::{JetStream, SEQUENCE, TIME_STAMP};
use crate::{Error, Message};

/// The header of a message read directly that names the subject it was published on.
const SUBJECT: &str = "Nats-Subject";

/// All messages of a work-queue stream, in order, whoever has them in hand.
#[derive(Debug)]
pub struct Backlog {
    jetstream: JetStream,
    stream: String,
    dead_letter_subject: String,
    next: u64,
    /// Which stream of this name it is.
    created: String,
}

/// What [`Backlog::look`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How many messages there are.
    pub messages: u64,
    /// Whether sequences mean what they meant at the last look.
    pub is_same: bool,
}

/// One message of a [`Backlog`].
#[derive(Debug)]
pub struct Waiting {
    message: Message,
    subject: String,
    sequence: u64,
    stored_at_ms: u64,
}

impl Backlog {
    pub(crate) fn new(jetstream: JetStream, stream: String, dead_letter_subject: String) -> Self {
        Self { jetstream, stream, dead_letter_subject, next: 1, created: String::new() }
    }

    /// Looks at the stream: how many messages it holds, and whether it is the one that was read so far. One that was made anew, or
    /// lost its end, gives its sequences once more; then it is read from its beginning.
    pub async fn look(&mut self) -> Result<Look, Error> {
        let info = self.jetstream.stream_info(&self.stream).await?;
        let is_same = info.created == self.created && self.next <= info.state.last_seq.saturating_add(1);
        if !is_same {
            self.created = info.created;
            self.rewind();
        }
        Ok(Look { messages: info.state.messages, is_same })
    }

    /// Gives every message that is there once more.
    pub fn rewind(&mut self) {
        self.next = 1;
    }

    /// The next message that was stored by `stored_before_ms` (Unix milliseconds); nothing when there is none yet. Each is given once.
    pub async fn next(&mut self, stored_before_ms: u64) -> Result<Option<Waiting>, Error> {
        let next = self.read(serde_json::json!({ "seq": self.next, "next_by_subj": ">" })).await?;
        let ripe = next.filter(|waiting| waiting.stored_at_ms <= stored_before_ms);
        if let Some(waiting) = &ripe {
            self.next = waiting.sequence.saturating_add(1);
        }
        Ok(ripe)
    }

    /// The message with a sequence; nothing when somebody has ended it.
    pub async fn get(&self, sequence: u64) -> Result<Option<Waiting>, Error> {
        self.read(serde_json::json!({ "seq": sequence })).await
    }

    /// Ends a message as a dead letter, whoever has it in hand: a copy with the reason in its headers is kept, as of
    /// [`super::Delivery::dead_letter`].
    pub async fn dead_letter(&self, waiting: &Waiting, reason: &str) -> Result<(), Error> {
        let letter = Letter {
            stream: &self.stream,
            subject: &waiting.subject,
            sequence: waiting.sequence,
            attempts: letter::number(&waiting.message, FAILED_ATTEMPTS).unwrap_or(0),
            message: &waiting.message,
        };
        letter.keep(&self.jetstream, &self.dead_letter_subject, reason).await?;
        self.remove(waiting).await
    }

    /// Removes a message that was ended, but by somebody who could not say so.
    pub async fn remove(&self, waiting: &Waiting) -> Result<(), Error> {
        self.jetstream.remove_message(&self.stream, waiting.sequence).await
    }

    async fn read(&self, which: serde_json::Value) -> Result<Option<Waiting>, Error> {
        let found = self.jetstream.direct(&self.stream, &which).await?;
        found.map(Waiting::read).transpose()
    }
}

impl Waiting {
    fn read(message: Message) -> Result<Self, Error> {
        let missing = |what: &str| Error::Decode {
            what: "a message read from a work queue".to_owned(),
            reason: format!("the broker gave no {what}"),
        };
        let subject = message.header(SUBJECT).ok_or_else(|| missing(SUBJECT))?.to_owned();
        let sequence = letter::number(&message, SEQUENCE).ok_or_else(|| missing(SEQUENCE))?;
        let stored_at = message.header(TIME_STAMP).and_then(|time| time.parse::<Timestamp>().ok());
        let stored_at = stored_at.ok_or_else(|| missing(TIME_STAMP))?.as_millisecond();
        Ok(Self { subject, sequence, stored_at_ms: u64::try_from(stored_at).unwrap_or(0), message })
    }

    /// The subject it was submitted on.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its place in the stream.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its content.
    pub fn payload(&self) -> &[u8] {
        self.message.payload()
    }

    /// When it was accepted, in Unix milliseconds.
    pub fn accepted_at_ms(&self) -> u64 {
        letter::accepted_at_ms(&self.message, self.stored_at_ms)
    }
}
