//! Follows a bucket by its level, not by its edges: what matters is what is there, however we learnt of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{KeyValue, is_removal};
use crate::reader::{Read, Reader};
use crate::{Error, StoredMessage};

/// How often the whole bucket is read again: it finds what expired, which the broker does not announce.
const LISTING_EVERY: Duration = Duration::from_secs(60);

/// A key and what it has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<T> {
    /// The key.
    pub key: String,
    /// Its value; nothing when it is gone.
    pub value: Option<T>,
    /// The revision of the change; of the last value when it expired.
    pub revision: u64,
}

/// What a watch gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched<T> {
    /// A key has another value than before, or is gone.
    Change(Change<T>),
    /// Everything that is there has been given. It comes once after the start, also when the bucket is empty, and
    /// again after every repeated listing.
    Current,
}

/// Follows a bucket for ever: first what is there, then [`Watched::Current`], then every change.
///
/// Changes of one key between two reads may be given as one. It outlives restarts of the broker, and reads the whole
/// bucket again when the connection was restored and every minute; only differences are given.
#[derive(Debug)]
pub struct Watch<T> {
    bucket: KeyValue<T>,
    reader: Reader,
    /// The revision of every key that is there.
    known: BTreeMap<String, u64>,
    /// The keys of the listing under way.
    listing: Option<BTreeSet<String>>,
    listing_every: Duration,
    next_listing: Instant,
    ready: VecDeque<Result<Watched<T>, Error>>,
}

impl<T: Serialize + DeserializeOwned> Watch<T> {
    pub(super) fn new(bucket: KeyValue<T>, reader: Reader) -> Self {
        Self {
            bucket,
            reader,
            known: BTreeMap::new(),
            listing: None,
            listing_every: LISTING_EVERY,
            next_listing: Instant::now() + LISTING_EVERY,
            ready: VecDeque::new(),
        }
    }

    /// Reads the whole bucket again this often, for buckets whose keys expire.
    pub fn listing_every(mut self, period: Duration) -> Self {
        self.listing_every = period;
        self.next_listing = Instant::now() + period;
        self
    }

    /// What comes next. It waits as long as it takes; dropping the future loses nothing.
    ///
    /// The only error is a value that is not of the bucket's type; the watch goes on behind it.
    pub async fn next(&mut self) -> Result<Watched<T>, Error> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return ready;
            }
            tokio::select! {
                read = self.reader.next() => self.take(read),
                () = tokio::time::sleep_until(self.next_listing) => {
                    self.next_listing = Instant::now() + self.listing_every;
                    self.reader.restart().await;
                }
            }
        }
    }

    /// The same as a stream that never ends.
    pub fn into_stream(self) -> impl Stream<Item = Result<Watched<T>, Error>> + Send
    where
        T: Send + 'static,
    {
        futures_util::stream::unfold(self, |mut watch| async move {
            let watched = watch.next().await;
            Some((watched, watch))
        })
    }

    fn take(&mut self, read: Read) {
        let is_last = match read {
            Read::Opened { pending } => {
                self.listing = Some(BTreeSet::new());
                pending == 0
            }
            Read::Message(message) => {
                self.compare(&message);
                message.pending() == 0
            }
            Read::Exhausted => true,
        };
        if is_last {
            self.end_listing();
        }
    }

    fn compare(&mut self, message: &StoredMessage) {
        let key = self.bucket.key(message);
        let revision = message.sequence();
        let is_gone = is_removal(message.message());
        if let Some(listing) = self.listing.as_mut().filter(|_| !is_gone) {
            listing.insert(key.clone());
        }
        let known = self.known.get(&key).copied();
        if is_gone {
            if self.known.remove(&key).is_some() {
                self.ready.push_back(Ok(Watched::Change(Change { key, value: None, revision })));
            }
        } else if known != Some(revision) {
            self.known.insert(key.clone(), revision);
            let decoded = self.bucket.decode(&key, message.payload());
            let change = decoded.map(|value| Watched::Change(Change { key, value: Some(value), revision }));
            self.ready.push_back(change);
        }
    }

    fn end_listing(&mut self) {
        let Some(listed) = self.listing.take() else { return };
        let gone: Vec<(String, u64)> = self
            .known
            .iter()
            .filter(|(key, _)| !listed.contains(*key))
            .map(|(key, at)| (key.clone(), *at))
            .collect();
        for (key, revision) in gone {
            self.known.remove(&key);
            self.ready.push_back(Ok(Watched::Change(Change { key, value: None, revision })));
        }
        self.ready.push_back(Ok(Watched::Current));
    }
}
