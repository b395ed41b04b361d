//! Typed values under keys, with compare-and-set and watches.

mod watch;

use std::marker::PhantomData;

use bytes::Bytes;
use leat_contract::headers::MESSAGE_ID;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use watch::{Change, Watch, Watched};

use crate::jetstream::{EXPECTED_SEQUENCE, JetStream, SEQUENCE};
use crate::publish::PUBLISH_PATIENCE;
use crate::reader::{LISTING_TIMEOUT, Read, Reader, Start};
use crate::{Error, Headers, Message, StoredMessage};

/// The header by which the broker marks what is no value.
const OPERATION: &str = "KV-Operation";

/// A bucket of JSON values of one type. Other clients see it as an ordinary NATS key-value bucket.
#[derive(Debug)]
pub struct KeyValue<T> {
    jetstream: JetStream,
    bucket: String,
    value: PhantomData<fn() -> T>,
}

/// A value and the revision that a compare-and-set needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The key.
    pub key: String,
    /// The value.
    pub value: T,
    /// Grows with every change of any key of the bucket.
    pub revision: u64,
}

impl<T> Clone for KeyValue<T> {
    fn clone(&self) -> Self {
        Self { jetstream: self.jetstream.clone(), bucket: self.bucket.clone(), value: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> KeyValue<T> {
    pub(crate) fn new(jetstream: JetStream, bucket: String) -> Self {
        Self { jetstream, bucket, value: PhantomData }
    }

    /// The value of a key, or nothing when there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Entry<T>>, Error> {
        let subject = self.subject(key)?;
        let Some(message) = self.jetstream.last(&self.stream(), &subject).await? else { return Ok(None) };
        if is_removal(&message) {
            return Ok(None);
        }
        let revision = message.header(SEQUENCE).and_then(|sequence| sequence.parse().ok());
        let revision = revision.ok_or_else(|| Error::Decode {
            what: format!("{} {key}", self.bucket),
            reason: "the broker gave no revision".to_owned(),
        })?;
        let value = self.decode(key, message.payload())?;
        Ok(Some(Entry { key: key.to_owned(), value, revision }))
    }

    /// Sets a value, whatever was there. Gives the new revision.
    pub async fn put(&self, key: &str, value: &T) -> Result<u64, Error> {
        self.write(key, self.encode(key, value)?, Headers::new()).await
    }

    /// Sets a value where there is none; [`Error::Conflict`] when there is one.
    pub async fn create(&self, key: &str, value: &T) -> Result<u64, Error> {
        match self.update(key, value, 0).await {
            Err(Error::Conflict { .. }) => {}
            outcome => return outcome,
        }
        // A key that was deleted still has its last revision, which is the one to replace.
        match self.removed_revision(key).await? {
            Some(revision) => self.update(key, value, revision).await,
            None => Err(Error::Conflict { key: key.to_owned() }),
        }
    }

    /// Sets a value if its revision is still `revision`; [`Error::Conflict`] when someone else was first.
    pub async fn update(&self, key: &str, value: &T, revision: u64) -> Result<u64, Error> {
        self.write(key, self.encode(key, value)?, expecting(revision)).await
    }

    /// Removes a key, whatever its value.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        self.write(key, Bytes::new(), Headers::new().with(OPERATION, "DEL")).await.map(|_| ())
    }

    /// Removes a key if its revision is still `revision`.
    pub async fn delete_revision(&self, key: &str, revision: u64) -> Result<(), Error> {
        self.write(key, Bytes::new(), expecting(revision).with(OPERATION, "DEL")).await.map(|_| ())
    }

    /// What a key had when it was removed, as far as the history of the bucket goes back; none when it was not removed.
    pub async fn removed(&self, key: &str) -> Result<Option<T>, Error> {
        let messages = self.messages(key, Start::First).await?;
        if !messages.last().is_some_and(|last| is_removal(last.message())) {
            return Ok(None);
        }
        let last = messages.iter().rfind(|message| !is_removal(message.message()));
        last.map(|message| self.decode(key, message.payload())).transpose()
    }

    /// Every key with its value, in the order of the keys.
    pub async fn entries(&self) -> Result<Vec<Entry<T>>, Error> {
        self.entries_matching(">").await
    }

    /// The keys that match a filter in the grammar of subjects (`digits.version.*`), with their values.
    pub async fn entries_matching(&self, filter: &str) -> Result<Vec<Entry<T>>, Error> {
        let listed = self.list(filter).await?;
        listed.into_iter().map(|message| self.entry(&message)).collect()
    }

    /// Every key whose value can be read, and an error for each of the others: for those who must go on although a
    /// newer or a foreign writer left something that is not of the bucket's type.
    pub async fn entries_readable(&self) -> Result<(Vec<Entry<T>>, Vec<Error>), Error> {
        self.entries_readable_matching(">").await
    }

    /// As [`KeyValue::entries_readable`], for the keys that match a filter.
    pub async fn entries_readable_matching(
        &self,
        filter: &str,
    ) -> Result<(Vec<Entry<T>>, Vec<Error>), Error> {
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        for message in self.list(filter).await? {
            match self.entry(&message) {
                Ok(entry) => entries.push(entry),
                Err(error) => unreadable.push(error),
            }
        }
        Ok((entries, unreadable))
    }

    /// Follows every key. See [`Watch`].
    pub fn watch(&self) -> Result<Watch<T>, Error> {
        self.watch_matching(">")
    }

    /// Follows the keys that match a filter in the grammar of subjects.
    pub fn watch_matching(&self, filter: &str) -> Result<Watch<T>, Error> {
        Ok(Watch::new(self.clone(), self.reader(filter, Start::LastPerSubject)?))
    }

    fn reader(&self, filter: &str, start: Start) -> Result<Reader, Error> {
        let is_filter = filter.split('.').all(|token| matches!(token, "*" | ">") || is_key(token));
        if !is_filter {
            return Err(Error::Invalid { what: "key filter", reason: format!("{filter:?}") });
        }
        let filter = format!("$KV.{}.{filter}", self.bucket);
        Ok(Reader::new(self.jetstream.clone(), self.stream(), filter, start))
    }

    /// The last message of every key that matches and is there, in the order of the keys.
    async fn list(&self, filter: &str) -> Result<Vec<StoredMessage>, Error> {
        let mut messages = self.messages(filter, Start::LastPerSubject).await?;
        messages.retain(|message| !is_removal(message.message()));
        messages.sort_by(|left, right| left.subject().cmp(right.subject()));
        Ok(messages)
    }

    /// The messages that match, removals too, in the order in which they were written.
    async fn messages(&self, filter: &str, start: Start) -> Result<Vec<StoredMessage>, Error> {
        let mut reader = self.reader(filter, start)?;
        let listing = tokio::time::timeout(LISTING_TIMEOUT, read_all(&mut reader));
        let messages = listing.await.map_err(|_| Error::Timeout {
            what: format!("listing of {}", self.bucket),
            after: LISTING_TIMEOUT,
        })?;
        reader.restart().await;
        Ok(messages)
    }

    fn entry(&self, message: &StoredMessage) -> Result<Entry<T>, Error> {
        let key = self.key(message);
        Ok(Entry { value: self.decode(&key, message.payload())?, revision: message.sequence(), key })
    }

    async fn removed_revision(&self, key: &str) -> Result<Option<u64>, Error> {
        let last = self.jetstream.last(&self.stream(), &self.subject(key)?).await?;
        let removal = last.filter(is_removal);
        Ok(removal.and_then(|message| message.header(SEQUENCE)?.parse().ok()))
    }

    async fn write(&self, key: &str, payload: Bytes, headers: Headers) -> Result<u64, Error> {
        // The id makes it safe to repeat a write whose outcome is unknown.
        let headers = headers.with(MESSAGE_ID, nuid::next().to_string());
        let stored = self.jetstream.publish(self.subject(key)?, headers, payload, PUBLISH_PATIENCE).await;
        match stored {
            Ok(stored) => Ok(stored.sequence),
            Err(Error::Conflict { .. }) => Err(Error::Conflict { key: key.to_owned() }),
            Err(error) => Err(error),
        }
    }

    fn subject(&self, key: &str) -> Result<String, Error> {
        if !is_key(key) {
            let reason =
                format!("{key:?} is not made of letters, digits, '-', '_', '=', '/' and single dots inside");
            return Err(Error::Invalid { what: "key", reason });
        }
        Ok(format!("$KV.{}.{key}", self.bucket))
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.bucket)
    }

    fn key(&self, message: &StoredMessage) -> String {
        let prefix = format!("$KV.{}.", self.bucket);
        message.subject().strip_prefix(&prefix).unwrap_or(message.subject()).to_owned()
    }

    fn encode(&self, key: &str, value: &T) -> Result<Bytes, Error> {
        serde_json::to_vec(value).map(Bytes::from).map_err(|error| Error::Invalid {
            what: "value",
            reason: format!("{} {key}: {error}", self.bucket),
        })
    }

    fn decode(&self, key: &str, payload: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(payload).map_err(Error::decode(format!("{} {key}", self.bucket)))
    }
}

fn expecting(revision: u64) -> Headers {
    Headers::new().with(EXPECTED_SEQUENCE, revision.to_string())
}

/// Whether a message says that a key is gone.
fn is_removal(message: &Message) -> bool {
    matches!(message.header(OPERATION), Some("DEL" | "PURGE"))
}

/// The grammar of keys (ADR-8).
fn is_key(key: &str) -> bool {
    let is_character =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'/' | b'.');
    !key.is_empty()
        && key.bytes().all(is_character)
        && !key.starts_with('.')
        && !key.ends_with('.')
        && !key.contains("..")
}

/// The messages that are there now. An interruption begins anew.
async fn read_all(reader: &mut Reader) -> Vec<StoredMessage> {
    let mut messages = Vec::new();
    loop {
        match reader.next().await {
            Read::Opened { pending } => {
                messages.clear();
                if pending == 0 {
                    return messages;
                }
            }
            Read::Message(message) => {
                let is_last = message.pending() == 0;
                messages.push(message);
                if is_last {
                    return messages;
                }
            }
            Read::Exhausted => return messages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_their_grammar() {
        for key in ["digits", "digits.version.1", "a/b=c", "UPPER_lower-1"] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", ".a", "a.", "a..b", "a b", "a*", ">", "ä", "a\r\nb"] {
            assert!(!is_key(key), "{key}");
        }
    }
}
