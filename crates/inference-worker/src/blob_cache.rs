//! Blobs that were fetched, kept as files: what a worker loads again costs the broker nothing, also after a restart.
//!
//! A file has the digest of its blob as its name and is compared with it each time, so that a file which is torn, damaged or not ours is
//! only one that is fetched again. Workers may share a folder: a file appears in one go, and whoever misses one fetches it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use leat_contract::Digest;
use leat_pauses::{pause, pieces};
use tracing::warn;

use crate::Error;

/// What is read at once: enough for the call not to count.
const PIECE: usize = 1 << 16;
/// Files are looked through for each blob that is kept, so there may not be many of them.
const FILES_MAX: usize = 4096;
/// What a file is called until it is whole.
const PARTIAL: &str = "partial";
/// Nobody still writes a file that old.
const PARTIAL_AGE_MAX: Duration = Duration::from_secs(3600);

/// A folder of blobs on a disk of this machine. Its methods wait for the disk, and pause (`leat_pauses`) between pieces.
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
    /// When it was read or written last.
    loaded: SystemTime,
}

impl BlobCache {
    /// Keeps blobs in a folder, which is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub(crate) fn open(folder: PathBuf, bytes_max: u64, writer: &str) -> Result<Self, Error> {
        let cache = Self { folder, bytes_max, writer: writer.to_owned() };
        let failed =
            |error: io::Error| Error::BlobCache { folder: cache.folder.clone(), reason: error.to_string() };
        let probe = cache.folder.join(format!(".{writer}.probe"));
        fs::create_dir_all(&cache.folder).map_err(failed)?;
        write(&probe, std::iter::empty()).and_then(|()| fs::remove_file(&probe)).map_err(failed)?;
        cache.make_room(0);
        Ok(cache)
    }

    /// The blob with this digest, when it is kept.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        match read(&path, self.bytes_max) {
            Ok(blob) if leat_model::Digest::of(&blob).as_str() == digest.as_str() => Some(blob),
            Ok(_) => {
                warn!(file = %path.display(), "a kept model is damaged and will be fetched again");
                // It may be gone already, or even be whole again by now: then it costs one more fetch.
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

    /// Keeps a blob, as long as `goes_on` says so. Those that were loaded least recently go when there is no room. What cannot be kept is
    /// fetched next time.
    pub(crate) fn keep(&self, digest: &Digest, blob: &[u8], goes_on: &dyn Fn() -> bool) {
        let bytes = blob.len() as u64;
        let is_here =
            fs::symlink_metadata(self.path(digest)).is_ok_and(|file| file.is_file() && file.len() == bytes);
        if is_here || bytes > self.bytes_max {
            return;
        }
        self.make_room(bytes);
        if let Err(error) = self.write(digest, blob, goes_on) {
            warn!(folder = %self.folder.display(), %error, "a model is not kept");
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.as_str())
    }

    fn write(&self, digest: &Digest, blob: &[u8], goes_on: &dyn Fn() -> bool) -> io::Result<()> {
        // Somebody may have emptied the disk while this worker runs.
        fs::create_dir_all(&self.folder)?;
        let partial = self.folder.join(format!("{digest}.{}.{PARTIAL}", self.writer));
        let parts = pieces(blob).take_while(|_| goes_on());
        let written = write(&partial, parts).and_then(|()| match fs::metadata(&partial)?.len() {
            bytes if bytes == blob.len() as u64 => fs::rename(&partial, self.path(digest)),
            _ => fs::remove_file(&partial),
        });
        if written.is_err() {
            // What is left of it takes room on a disk that may be full.
            let _ = fs::remove_file(&partial);
        }
        written
    }

    /// Lets go of blobs until there is room for one of so many bytes.
    fn make_room(&self, bytes: u64) {
        let mut kept = match self.kept() {
            Ok(kept) => kept,
            Err(error) => {
                return warn!(folder = %self.folder.display(), %error, "the folder for models cannot be read");
            }
        };
        let (mut count, mut sum) = (kept.len(), kept.iter().map(|kept| kept.bytes).sum::<u64>());
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.loaded));
        while (sum.saturating_add(bytes) > self.bytes_max || count >= FILES_MAX)
            && let Some(oldest) = kept.pop()
        {
            if let Err(error) = remove(&oldest.path) {
                warn!(file = %oldest.path.display(), %error, "a model that is to go stays");
                continue;
            }
            (count, sum) = (count - 1, sum - oldest.bytes);
        }
    }

    /// The blobs in the folder. What was left half-written long ago is removed on the way.
    fn kept(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            pause();
            let path = entry?.path();
            // Another worker may just have removed it.
            let Ok(file) = fs::symlink_metadata(&path) else { continue };
            // Up to the dot, the name of a blob and that of its partial file are the same.
            let is_ours = path.file_stem().and_then(OsStr::to_str).is_some_and(|name| {
                let digest = name.split('.').next().unwrap_or_default();
                file.is_file() && Digest::new(digest).is_ok()
            });
            let loaded = file.modified()?;
            match path.extension().and_then(OsStr::to_str) {
                None if is_ours => kept.push(Kept { path, bytes: file.len(), loaded }),
                Some(PARTIAL) if is_ours && loaded.elapsed().is_ok_and(|age| age > PARTIAL_AGE_MAX) => {
                    // It is tried again each time.
                    let _ = remove(&path);
                }
                _ => {}
            }
        }
        Ok(kept)
    }
}

/// Reads a file, and says that it was.
fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let named = fs::symlink_metadata(path)?;
    // Anything else could be waited for without end.
    if !named.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    if named.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than all may be together"));
    }
    let mut file = File::open(path)?;
    let length = usize::try_from(named.len()).unwrap_or(usize::MAX);
    let mut blob = Vec::new();
    blob.try_reserve_exact(length)?;
    for piece in leat_pauses::spans(length, PIECE) {
        blob.resize(piece.end, 0);
        file.read_exact(&mut blob[piece])?;
    }
    // Where that is not allowed, its age counts from when it was written.
    let _ = file.set_modified(SystemTime::now());
    Ok(blob)
}

/// What a crash leaves of it is found out by its digest, so nothing waits for the disk.
fn write<'a>(path: &Path, mut parts: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    remove(path)?;
    let mut file = File::create_new(path)?;
    parts.try_for_each(|part| file.write_all(part))
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
