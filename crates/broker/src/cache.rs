//! Where fetched servers are kept, and the lock that lets only one process fetch.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::pinned::{PINNED_VERSION, executable_name};
use crate::{Error, Note};

/// A download takes seconds; whoever waits longer than this should be told.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The folder for fetched servers: `LEAT_CACHE_DIR`, else the user's cache folder, else the system's temporary one.
pub(crate) fn folder_from_environment() -> PathBuf {
    if let Some(folder) = std::env::var_os("LEAT_CACHE_DIR").filter(|folder| !folder.is_empty()) {
        return PathBuf::from(folder);
    }
    directories::ProjectDirs::from("", "", "leat")
        .map_or_else(|| std::env::temp_dir().join("leat-cache"), |folders| folders.cache_dir().to_owned())
}

/// The path at which the pinned server stands once it was fetched.
pub(crate) fn server_path(cache: &Path) -> PathBuf {
    cache.join(format!("nats-server-{PINNED_VERSION}")).join(executable_name())
}

/// Held while fetching; released when dropped, also when the process dies.
#[derive(Debug)]
pub(crate) struct FetchLock {
    _file: File,
}

impl FetchLock {
    /// Waits until no other process fetches into this cache, and says so when there is one.
    pub(crate) async fn acquire(cache: &Path, say: &mut impl FnMut(Note)) -> Result<Self, Error> {
        std::fs::create_dir_all(cache).map_err(Error::io(format!("create {}", cache.display())))?;
        let path = cache.join("fetch.lock");
        let file = File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        let mut waiting = Some(Note::Waiting { cache: cache.to_owned() });
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    if let Some(waiting) = waiting.take() {
                        say(waiting);
                    }
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let reason = format!(
                        "another process has been fetching for {LOCK_TIMEOUT:?} ({})",
                        path.display()
                    );
                    return Err(Error::NotFound { reason });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(Error::Io { action: format!("lock {}", path.display()), source });
                }
            }
        }
    }
}
