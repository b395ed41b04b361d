//! What is stored about an object beside its pieces.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// Hashing more bytes would take longer than other tasks of the thread should wait.
const HASHED_AT_ONCE: usize = 128 << 10;

/// The description of an object as the object stores of NATS write it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    bucket: String,
    /// The subject token of the pieces.
    pub(super) nuid: String,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) chunks: u64,
    /// `SHA-256=<base64url>`
    #[serde(default)]
    pub(super) digest: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
}

/// How much an object is and what it hashes to.
pub(super) struct Extent {
    pub(super) size: u64,
    pub(super) chunks: u64,
    pub(super) digest: String,
}

impl Record {
    pub(super) fn new(bucket: &str, name: &str, nuid: &str, extent: Extent) -> Self {
        let Extent { size, chunks, digest } = extent;
        let (name, bucket, nuid) = (name.to_owned(), bucket.to_owned(), nuid.to_owned());
        Self { name, bucket, nuid, size, chunks, digest, deleted: false }
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(payload).map_err(Error::decode("the record of an object"))
    }

    pub(super) fn to_bytes(&self) -> Result<Bytes, Error> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|error| Error::Invalid { what: "object record", reason: error.to_string() })
    }

    /// The record that says the object is gone.
    pub(super) fn deleted(&self) -> Self {
        Self { size: 0, chunks: 0, digest: String::new(), deleted: true, ..self.clone() }
    }
}

/// Where the record of an object stands.
pub(super) fn record_subject(bucket: &str, name: &str) -> String {
    format!("$O.{bucket}.M.{}", BASE64_URL_SAFE.encode(name))
}

/// All records of a store.
pub(super) fn record_filter(bucket: &str) -> String {
    format!("$O.{bucket}.M.>")
}

/// The SHA-256 of the bytes of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of bytes that may be many, as [`Hashing::update`] does it.
    pub(super) async fn in_turns(bytes: &[u8]) -> Self {
        let mut hashing = Hashing::begin();
        hashing.update(bytes).await;
        hashing.end()
    }

    /// As records have it.
    pub(super) fn digest(self) -> String {
        format!("SHA-256={}", BASE64_URL_SAFE.encode(self.0))
    }

    /// As the name of an object.
    pub(super) fn name(self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256-{hex}")
    }
}

/// The SHA-256 of what has come so far.
pub(super) struct Hashing(Sha256);

impl Hashing {
    pub(super) fn begin() -> Self {
        Self(Sha256::new())
    }

    /// Other tasks of the thread get their turn after each part.
    pub(super) async fn update(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(HASHED_AT_ONCE) {
            self.0.update(part);
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn end(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// Whether a name is a digest and therefore promises its content.
pub(super) fn is_digest_name(name: &str) -> bool {
    leat_contract::Digest::new(name).is_ok()
}
