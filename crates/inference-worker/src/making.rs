//! What the thread for loading does for one version: reads the blobs that are kept, makes the version ready, and keeps the blobs that
//! are new.

use std::sync::Arc;

use leat_contract::Digest;
use prometheus_client::metrics::counter::Counter;

use crate::Error;
use crate::blob_cache::BlobCache;
use crate::loaded::{LoadedVersion, Meant};
use crate::loading::{Awaited, Done};
use crate::yielding::Slices;

/// Something that may change while a load goes on.
pub(crate) type Condition = Arc<dyn Fn() -> bool + Send + Sync>;

/// A version that is to be made ready for batches of so many rows.
pub(crate) struct Making {
    pub(crate) meant: Meant,
    pub(crate) rows_max: usize,
    /// Of the model and of those that answer together with it, in this order.
    pub(crate) blobs: Vec<Blob>,
    pub(crate) cache: Option<BlobCache>,
    pub(crate) blobs_from_cache: Counter,
    /// When requests wait for it.
    pub(crate) awaited: Option<Awaited>,
    /// Whether there are rests.
    pub(crate) gives_way: Condition,
    /// Whether requests wait for some load.
    pub(crate) is_awaited: Condition,
}

/// The bytes of a model as they are stored.
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    /// None as long as they are elsewhere.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) is_kept: bool,
}

/// How far it came.
pub(crate) enum Made {
    /// To the end.
    Version(Result<Arc<LoadedVersion>, Error>),
    /// Some blobs are to be fetched first.
    Missing(Making),
}

impl Blob {
    /// A blob of which nothing is known but its digest.
    pub(crate) fn of(digest: &Digest) -> Self {
        Self { digest: digest.clone(), bytes: None, is_kept: false }
    }

    /// Reads it, if it is kept.
    fn read(&mut self, cache: &BlobCache) {
        if self.bytes.is_none() {
            self.bytes = cache.get(&self.digest);
            self.is_kept = self.bytes.is_some();
        }
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl Making {
    /// Makes the version, when all its blobs are here or kept.
    pub(crate) fn make(mut self, done: Done<Made>) {
        let gives_way = self.gives_way.clone();
        let slices = Slices::begin(move || gives_way());
        leat_pauses::with_pauses(
            move || slices.pause(),
            || {
                if let Some(cache) = &self.cache {
                    self.blobs.iter_mut().for_each(|blob| blob.read(cache));
                }
                if self.blobs.iter().all(|blob| blob.bytes.is_some()) {
                    self.make_of_all(done);
                } else {
                    done.with(Made::Missing(self));
                }
            },
        );
    }

    fn make_of_all(self, done: Done<Made>) {
        let kept = self.blobs.iter().filter(|blob| blob.is_kept).count();
        self.blobs_from_cache.inc_by(kept as u64);
        let version = LoadedVersion::build(self.meant, &self.blobs, self.rows_max);
        // What is no model is not kept either.
        let cache = self.cache.filter(|_| version.is_ok());
        drop(self.awaited);
        done.with(Made::Version(version.map(Arc::new)));
        // Nobody waits for this.
        let Some(cache) = cache else { return };
        for blob in self.blobs.iter().filter(|blob| !blob.is_kept) {
            cache.keep(&blob.digest, blob.as_ref(), &|| !(self.is_awaited)());
        }
    }
}
