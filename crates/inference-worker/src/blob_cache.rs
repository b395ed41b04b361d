//! Blobs that were fetched, kept as files: what a worker loads again costs the broker nothing, also after a restart.
//!
//! A file has the digest of its blob as its name and is compared with it each time, so that a file which is torn, damaged or not ours is
//! only one that is fetched again. Workers may share a folder: a file appears in one go, and whoever misses one fetches it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use leat_contract::Digest;
use leat_pauses::{pause, pieces};
use tracing::warn;

use crate::Error;

/// What is read at once: enough for the call not to count.
const PIECE: u64 = 1 << 16;
/// What a file is called until it is whole.
const PARTIAL: &str = "partial";
/// Nobody still writes a file that old.
const PARTIAL_AGE_MAX: Duration = Duration::from_secs(3600);

/// A folder of blobs. Its methods wait for the disk, and pause (`leat_pauses`) between pieces.
#[derive(Debug, Clone)]
pub(crate) struct BlobCache {
    folder: PathBuf,
    /// What all blobs together may take.
    bytes_max: u64,
    /// Who writes, as no other worker is called.
    writer: String,
}

/// A kept blob, as the folder tells it.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl BlobCache {
    /// Keeps blobs in a folder, which is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(folder: PathBuf, bytes_max: u64, writer: &str) -> Result<Self, Error> {
        let failed =
            |error: io::Error| Error::BlobCache { folder: folder.clone(), reason: error.to_string() };
        fs::create_dir_all(&folder).map_err(failed)?;
        Ok(Self { folder, bytes_max, writer: writer.to_owned() })
    }

    /// The blob with this digest, when it is kept.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        match read(&path, self.bytes_max) {
            Ok(blob) if leat_model::Digest::of(&blob).as_str() == digest.as_str() => Some(blob),
            Ok(_) => {
                warn!(file = %path.display(), "a kept model is damaged and will be fetched again");
                // Whoever else found it so may have been quicker.
                let _ = fs::remove_file(path);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(file = %path.display(), %error, "a kept model cannot be read");
                None
            }
        }
    }

    /// Keeps a blob, and lets go of those that were used least recently when there is no room. What cannot be kept is fetched next time.
    pub(crate) fn keep(&self, digest: &Digest, blob: &[u8]) {
        if blob.len() as u64 > self.bytes_max {
            return;
        }
        if let Err(error) = self.write(digest, blob) {
            warn!(folder = %self.folder.display(), %error, "a model is not kept");
        }
        if let Err(error) = self.make_room() {
            warn!(folder = %self.folder.display(), %error, "models that were not used for long are still kept");
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.as_str())
    }

    fn write(&self, digest: &Digest, blob: &[u8]) -> io::Result<()> {
        let partial = self.folder.join(format!("{digest}.{}.{PARTIAL}", self.writer));
        let written = write(&partial, blob).and_then(|()| fs::rename(&partial, self.path(digest)));
        if written.is_err() {
            // What is left of it takes room on a disk that may be full.
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn make_room(&self) -> io::Result<()> {
        let mut kept = self.kept()?;
        let mut bytes: u64 = kept.iter().map(|kept| kept.bytes).sum();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        while bytes > self.bytes_max
            && let Some(Kept { path, bytes: its, .. }) = kept.pop()
        {
            remove(&path)?;
            bytes -= its;
        }
        Ok(())
    }

    /// The blobs in the folder. What others left half-written for long is removed on the way.
    fn kept(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            // Another worker may just have removed it.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let used = metadata.modified()?;
            if path.extension().is_some_and(|extension| extension == PARTIAL) {
                if used.elapsed().is_ok_and(|age| age > PARTIAL_AGE_MAX) {
                    remove(&path)?;
                }
            } else if path.file_name().is_some_and(|name| Digest::new(name.to_string_lossy()).is_ok()) {
                kept.push(Kept { path, bytes: metadata.len(), used });
            }
        }
        Ok(kept)
    }
}

/// Reads a file, and says that it was used.
fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len().min(bytes_max);
    let mut blob = Vec::new();
    blob.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    while blob.len() as u64 <= bytes_max && (&mut file).take(PIECE).read_to_end(&mut blob)? > 0 {
        pause();
    }
    // Where that is not allowed, its age counts from when it was written.
    let _ = file.set_modified(SystemTime::now());
    Ok(blob)
}

/// What a crash leaves of it is found out by its digest, so nothing waits for the disk.
fn write(path: &Path, blob: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    pieces(blob).try_for_each(|piece| file.write_all(piece))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // Another worker did.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;
