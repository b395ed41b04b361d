//! Large immutable values, stored in pieces and checked by their digest (ADR-20).
//!
//! Other clients see ordinary NATS object stores. Several pieces are under way at once, unless a download gives way to
//! what is more urgent; every wait is bounded, and a download that meets an object being replaced fails instead of hanging.

mod download;
mod needed;
mod record;
mod sweep;
mod upload;

use std::time::Duration;

use bytes::Bytes;
use leat_contract::Digest;

use crate::jetstream::{EXPECTED_SEQUENCE, JetStream, SEQUENCE};
use crate::jitter::jittered;
use crate::reader::{LISTING_TIMEOUT, Read, Reader, Start};
use crate::{Error, Headers};
use record::{Hash, Record, record_filter, record_subject};

/// How often a record is put in place of another one before its writers count as too many.
const REPLACEMENTS_MAX: u32 = 10;

/// How often an object that should be there is looked for again, and when.
const ABSENCES_DOUBTED: u32 = 2;
const ABSENCE_PAUSE: Duration = Duration::from_millis(50);

/// A store of objects.
#[derive(Debug, Clone)]
pub struct Objects {
    jetstream: JetStream,
    bucket: String,
}

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// What became of a record that was to be put in place of another.
enum Replacement {
    /// It stands where this one stood.
    Made(Option<Record>),
    /// There was nothing to change.
    Unwanted,
}

impl Objects {
    pub(crate) fn new(jetstream: JetStream, bucket: String) -> Self {
        Self { jetstream, bucket }
    }

    /// Stores bytes under their digest, which it gives. What is there already is not sent again.
    pub async fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let hash = Hash::of(bytes);
        let name = hash.name();
        self.put_hashed(&name, bytes, hash).await?;
        Digest::new(name).map_err(|error| Error::Invalid { what: "digest", reason: error.to_string() })
    }

    /// Stores bytes under a name of the caller's. The same bytes under the same name are not sent again.
    ///
    /// Of several writers of one name the last one wins, and the pieces of the others are removed.
    pub async fn put_named(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.put_hashed(name, bytes, Hash::of(bytes)).await
    }

    async fn put_hashed(&self, name: &str, bytes: &[u8], hash: Hash) -> Result<(), Error> {
        let digest = hash.digest();
        if self.record(name).await?.is_some_and(|record| record.digest == digest) {
            return Ok(());
        }
        let nuid = upload::chunks(self, bytes).await?;
        let (size, chunks) = (bytes.len() as u64, upload::chunk_count(self, bytes.len()));
        let record = Record::new(&self.bucket, name, &nuid, record::Extent { size, chunks, digest });
        let is_new = |current: Option<&Record>| current.is_none_or(|current| current.digest != record.digest);
        let outcome = self.replace_record(name, |current| is_new(current).then(|| record.clone())).await;
        match &outcome {
            // An attempt whose answer was lost may have stored the record, and then it replaced itself.
            Ok(Replacement::Made(Some(replaced))) if replaced.nuid != nuid => {
                self.discard(&replaced.nuid).await
            }
            Ok(Replacement::Made(_)) => {}
            Ok(Replacement::Unwanted) | Err(_) => self.discard_unless_stored(name, &nuid).await,
        }
        outcome.map(|_| ())
    }

    /// Stores bytes under a name that nothing else has, which it gives. Nobody else writes under it, so nothing is looked up before.
    pub async fn put_unique(&self, bytes: Bytes) -> Result<String, Error> {
        let name = nuid::next().to_string();
        let digest = Hash::in_turns(&bytes).await.digest();
        let nuid = upload::chunks(self, &bytes).await?;
        let (size, chunks) = (bytes.len() as u64, upload::chunk_count(self, bytes.len()));
        let record = Record::new(&self.bucket, &name, &nuid, record::Extent { size, chunks, digest });
        if let Err(error) = self.write_record(&name, &record, 0).await {
            self.discard_unless_stored(&name, &nuid).await;
            return Err(error);
        }
        Ok(name)
    }

    /// The bytes of an object, checked against their digest, and against the name when it is one.
    ///
    /// Fails with [`Error::Missing`] when there is none and with [`Error::Damaged`] when it is not what it should be.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.get_giving_way(name, || false).await
    }

    /// As [`Objects::get`], piece by piece with rests in between whenever `gives_way` says that the broker and the processor are needed for what is more urgent.
    pub async fn get_giving_way(&self, name: &str, gives_way: impl Fn() -> bool) -> Result<Vec<u8>, Error> {
        self.download(name, u64::MAX, gives_way).await
    }

    /// As [`Objects::get`], but an object of more than `bytes_max` fails with [`Error::ObjectTooLarge`] before any of it is read.
    pub async fn get_within(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, Error> {
        self.download(name, bytes_max, || false).await
    }

    async fn download(
        &self,
        name: &str,
        bytes_max: u64,
        gives_way: impl Fn() -> bool,
    ) -> Result<Vec<u8>, Error> {
        let missing = || Error::Missing { what: format!("object {name} in {}", self.bucket) };
        let check = |record: Record| match record.size {
            bytes if bytes > bytes_max => {
                Err(Error::ObjectTooLarge { name: name.to_owned(), bytes, limit: bytes_max })
            }
            _ => Ok(record),
        };
        if gives_way() {
            download::let_others_go_first().await;
        }
        let record = check(self.record(name).await?.ok_or_else(missing)?)?;
        match download::bytes(self, name, &record, &gives_way).await {
            Err(Error::Damaged { .. }) => {}
            outcome => return outcome,
        }
        // It may have been replaced between its record and its pieces: the second answer is final.
        let record = check(self.record(name).await?.ok_or_else(missing)?)?;
        download::bytes(self, name, &record, &gives_way).await
    }

    /// Whether there is such an object.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        Ok(self.record(name).await?.is_some())
    }

    /// The size of an object in bytes, or nothing when there is none.
    pub async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(self.record(name).await?.map(|record| record.size))
    }

    /// As [`Objects::size`], for an object that somebody stored a moment ago. Where the store has replicas, a read may come to a server that
    /// has the object a little later than the one that took it, so what is not there is looked for again.
    pub async fn size_when_stored(&self, name: &str) -> Result<Option<u64>, Error> {
        for _ in 0..ABSENCES_DOUBTED {
            if let Some(size) = self.size(name).await? {
                return Ok(Some(size));
            }
            tokio::time::sleep(jittered(ABSENCE_PAUSE)).await;
        }
        self.size(name).await
    }

    /// Removes an object; it is no error when there is none.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        self.delete_unless(name, async || Ok::<_, Error>(false)).await.map(|_| ())
    }

    /// All objects, in the order of their names.
    pub async fn list(&self) -> Result<Vec<ObjectSummary>, Error> {
        let records = self.records().await?;
        let summary = |record: Record| ObjectSummary { name: record.name, bytes: record.size };
        let mut objects: Vec<ObjectSummary> = records.into_iter().map(summary).collect();
        objects.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(objects)
    }

    /// Removes pieces without an object whose last one is older than `age`; gives how many uploads they were of.
    ///
    /// A writer that ends between its pieces and its record leaves such pieces, and an upload under way has some too: the
    /// age must be longer than any upload takes.
    pub async fn sweep(&self, age: Duration) -> Result<usize, Error> {
        sweep::sweep(self, age).await
    }

    /// The records of all objects that are there.
    async fn records(&self) -> Result<Vec<Record>, Error> {
        let filter = record_filter(&self.bucket);
        let mut reader = Reader::new(self.jetstream.clone(), self.stream(), filter, Start::LastPerSubject);
        let listing = tokio::time::timeout(LISTING_TIMEOUT, read_records(&mut reader)).await;
        reader.restart().await;
        listing.map_err(|_| Error::Timeout {
            what: format!("listing of {}", self.bucket),
            after: LISTING_TIMEOUT,
        })?
    }

    async fn record(&self, name: &str) -> Result<Option<Record>, Error> {
        Ok(self.revision(name).await?.0.filter(|record| !record.deleted))
    }

    /// The record under a name, deleted or not, and its sequence; zero when there never was one.
    async fn revision(&self, name: &str) -> Result<(Option<Record>, u64), Error> {
        let subject = record_subject(&self.bucket, name);
        let Some(message) = self.jetstream.last(&self.stream(), &subject).await? else {
            return Ok((None, 0));
        };
        let sequence = message.header(SEQUENCE).and_then(|sequence| sequence.parse().ok());
        let sequence = sequence.ok_or_else(|| Error::Decode {
            what: format!("the record of {name}"),
            reason: "the broker gave no sequence".to_owned(),
        })?;
        Ok((Some(Record::read(message.payload())?), sequence))
    }

    /// Puts the record that `next` makes of the current one in its place. Only exactly that one is replaced, so that each writer knows whose pieces have become garbage.
    async fn replace_record(
        &self,
        name: &str,
        next: impl Fn(Option<&Record>) -> Option<Record>,
    ) -> Result<Replacement, Error> {
        let mut attempts = 0;
        loop {
            let (current, sequence) = self.revision(name).await?;
            let current = current.filter(|record| !record.deleted);
            let Some(record) = next(current.as_ref()) else { return Ok(Replacement::Unwanted) };
            attempts += 1;
            match self.write_record(name, &record, sequence).await {
                Err(Error::Conflict { .. }) if attempts < REPLACEMENTS_MAX => {}
                outcome => return outcome.map(|()| Replacement::Made(current)),
            }
        }
    }

    async fn write_record(&self, name: &str, record: &Record, sequence: u64) -> Result<(), Error> {
        let headers = Headers::new()
            .with("Nats-Rollup", "sub")
            .with(EXPECTED_SEQUENCE, sequence.to_string())
            .with(leat_contract::headers::MESSAGE_ID, nuid::next().to_string());
        let subject = record_subject(&self.bucket, name);
        let patience = crate::publish::PUBLISH_PATIENCE;
        self.jetstream.publish(subject, headers, record.to_bytes()?, patience).await.map(|_| ())
    }

    /// Removes pieces that have no record. The broker may be away, then they stay until [`Objects::sweep`].
    async fn discard(&self, nuid: &str) {
        if !self.jetstream.connection.is_connected() {
            return;
        }
        if let Err(error) = self.jetstream.purge(&self.stream(), &self.chunk_subject(nuid)).await {
            tracing::warn!(bucket = %self.bucket, nuid, %error, "pieces without an object stay for now");
        }
    }

    /// Removes pieces whose record was not confirmed: it may be there all the same.
    async fn discard_unless_stored(&self, name: &str, nuid: &str) {
        if let Ok((record, _)) = self.revision(name).await
            && record.is_none_or(|record| record.nuid != nuid)
        {
            self.discard(nuid).await;
        }
    }

    fn stream(&self) -> String {
        format!("OBJ_{}", self.bucket)
    }

    fn chunk_subject(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.bucket)
    }
}

async fn read_records(reader: &mut Reader) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    loop {
        let is_last = match reader.next().await {
            Read::Opened { pending } => {
                records.clear();
                pending == 0
            }
            Read::Message(message) => {
                records.push(Record::read(message.payload())?);
                message.pending() == 0
            }
            Read::Exhausted => true,
        };
        if is_last {
            records.retain(|record: &Record| !record.deleted);
            return Ok(records);
        }
    }
}
