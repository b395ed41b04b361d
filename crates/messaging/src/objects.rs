//! Large immutable values, stored in pieces and checked by their digest (ADR-20).
//!
//! Other clients see ordinary NATS object stores. Several pieces are under way at once, every wait is bounded, and a
//! download that meets an object being replaced fails instead of hanging.

mod download;
mod record;
mod upload;

use leat_contract::Digest;

use crate::jetstream::JetStream;
use crate::reader::{LISTING_TIMEOUT, Read, Reader, Start};
use crate::{Error, Headers};
use record::{Record, record_filter, record_subject};

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

impl Objects {
    pub(crate) fn new(jetstream: JetStream, bucket: String) -> Self {
        Self { jetstream, bucket }
    }

    /// Stores bytes under their digest, which it gives. What is there already is not sent again.
    pub async fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let name = record::digest_name(bytes);
        self.put_named(&name, bytes).await?;
        Digest::new(name).map_err(|error| Error::Invalid { what: "digest", reason: error.to_string() })
    }

    /// Stores bytes under a name of the caller's. The same bytes under the same name are not sent again.
    pub async fn put_named(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let digest = record::digest(bytes);
        let previous = self.record(name).await?;
        if previous.as_ref().is_some_and(|record| record.digest == digest) {
            return Ok(());
        }
        let nuid = upload::chunks(self, bytes).await?;
        let (size, chunks) = (bytes.len() as u64, upload::chunk_count(self, bytes.len()));
        let record = Record::new(&self.bucket, name, &nuid, record::Extent { size, chunks, digest });
        self.write_record(name, &record).await?;
        match previous {
            Some(previous) => self.jetstream.purge(&self.stream(), &self.chunk_subject(&previous.nuid)).await,
            None => Ok(()),
        }
    }

    /// The bytes of an object, checked against their digest, and against the name when it is one.
    ///
    /// Fails with [`Error::Missing`] when there is none and with [`Error::Damaged`] when it is not what it should be.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        let missing = || Error::Missing { what: format!("object {name} in {}", self.bucket) };
        let record = self.record(name).await?.ok_or_else(missing)?;
        match download::bytes(self, name, &record).await {
            Err(Error::Damaged { .. }) => {}
            outcome => return outcome,
        }
        // It may have been replaced between its record and its pieces: the second answer is final.
        let record = self.record(name).await?.ok_or_else(missing)?;
        download::bytes(self, name, &record).await
    }

    /// Whether there is such an object.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        Ok(self.record(name).await?.is_some())
    }

    /// The size of an object in bytes, or nothing when there is none.
    pub async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(self.record(name).await?.map(|record| record.size))
    }

    /// Removes an object; it is no error when there is none.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let Some(record) = self.record(name).await? else { return Ok(()) };
        self.write_record(name, &record.deleted()).await?;
        self.jetstream.purge(&self.stream(), &self.chunk_subject(&record.nuid)).await
    }

    /// All objects, in the order of their names.
    pub async fn list(&self) -> Result<Vec<ObjectSummary>, Error> {
        let filter = record_filter(&self.bucket);
        let mut reader = Reader::new(self.jetstream.clone(), self.stream(), filter, Start::LastPerSubject);
        let listing = tokio::time::timeout(LISTING_TIMEOUT, list(&mut reader)).await;
        reader.restart().await;
        listing.map_err(|_| Error::Timeout {
            what: format!("listing of {}", self.bucket),
            after: LISTING_TIMEOUT,
        })?
    }

    async fn record(&self, name: &str) -> Result<Option<Record>, Error> {
        let subject = record_subject(&self.bucket, name);
        let Some(message) = self.jetstream.last(&self.stream(), &subject).await? else { return Ok(None) };
        let record = Record::read(message.payload())?;
        Ok(Some(record).filter(|record| !record.deleted))
    }

    async fn write_record(&self, name: &str, record: &Record) -> Result<(), Error> {
        let headers = Headers::new()
            .with("Nats-Rollup", "sub")
            .with(leat_contract::headers::MESSAGE_ID, nuid::next().to_string());
        let subject = record_subject(&self.bucket, name);
        let patience = crate::publish::PUBLISH_PATIENCE;
        self.jetstream.publish(subject, headers, record.to_bytes()?, patience).await.map(|_| ())
    }

    fn stream(&self) -> String {
        format!("OBJ_{}", self.bucket)
    }

    fn chunk_subject(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.bucket)
    }
}

async fn list(reader: &mut Reader) -> Result<Vec<ObjectSummary>, Error> {
    let mut objects = Vec::new();
    loop {
        let is_last = match reader.next().await {
            Read::Opened { pending } => {
                objects.clear();
                pending == 0
            }
            Read::Message(message) => {
                let record = Record::read(message.payload())?;
                if !record.deleted {
                    objects.push(ObjectSummary { name: record.name, bytes: record.size });
                }
                message.pending() == 0
            }
            Read::Exhausted => true,
        };
        if is_last {
            objects.sort_by(|left, right| left.name.cmp(&right.name));
            return Ok(objects);
        }
    }
}
