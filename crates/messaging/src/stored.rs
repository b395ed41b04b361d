//! A message out of a stream, with its place there.

use bytes::Bytes;

use crate::Message;

/// A message that a stream keeps.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    message: Message,
    place: Place,
}

/// What the reply subject of a delivered message says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// How often it has been delivered, this time included.
    pub(crate) delivered: u64,
    pub(crate) stream_sequence: u64,
    pub(crate) consumer_sequence: u64,
    /// When it was stored, in Unix nanoseconds.
    pub(crate) stored_at: i64,
    /// How many more there are for the same consumer.
    pub(crate) pending: u64,
}

impl StoredMessage {
    /// Nothing when the message was not delivered out of a stream.
    pub(crate) fn read(message: Message) -> Option<Self> {
        let place = Place::parse(message.reply()?.as_str())?;
        Some(Self { message, place })
    }

    /// The subject it was published on.
    pub fn subject(&self) -> &str {
        self.message.subject()
    }

    /// Its content.
    pub fn payload(&self) -> &Bytes {
        self.message.payload()
    }

    /// A header's last value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.message.header(name)
    }

    /// Its place in the stream.
    pub fn sequence(&self) -> u64 {
        self.place.stream_sequence
    }

    /// When it was stored, in Unix milliseconds.
    pub fn stored_at_ms(&self) -> u64 {
        u64::try_from(self.place.stored_at / 1_000_000).unwrap_or(0)
    }

    /// How many more messages the stream holds for the same reader right now.
    pub fn pending(&self) -> u64 {
        self.place.pending
    }

    /// The message itself, for [`crate::trace::extract`].
    pub fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }
}

impl Place {
    /// Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or the longer
    /// form that has domain and account before the stream and may have more at the end (ADR-15).
    fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let first = match tokens.len() {
            7 => 2,
            9.. => 4,
            _ => return None,
        };
        let number = |offset: usize| tokens.get(first + offset)?.parse::<u64>().ok();
        Some(Self {
            delivered: number(0)?,
            stream_sequence: number(1)?,
            consumer_sequence: number(2)?,
            stored_at: i64::try_from(number(3)?).ok()?,
            pending: number(4)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        delivered: 3,
        stream_sequence: 10,
        consumer_sequence: 7,
        stored_at: 1_700_000_000_000_000_000,
        pending: 5,
    };

    #[test]
    fn reads_both_forms_of_the_reply_subject() {
        assert_eq!(Place::parse("$JS.ACK.LEAT_JOBS.train.3.10.7.1700000000000000000.5"), Some(PLACE));
        let long = "$JS.ACK._.ACCOUNT.LEAT_JOBS.train.3.10.7.1700000000000000000.5.token";
        assert_eq!(Place::parse(long), Some(PLACE));
    }

    #[test]
    fn refuses_any_other_subject() {
        for reply in [
            "",
            "_INBOX.a.b",
            "$JS.ACK.",
            "$JS.ACK.a.b.c.d.e.f.g",
            "$JS.ACK.s.c.1.2.3.4",
            "$JS.ACK.s.c.-1.2.3.4.5",
        ] {
            assert_eq!(Place::parse(reply), None, "{reply}");
        }
    }
}
