//! What version a server has, and whether that will do.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use leat_contract::server_version;
use tokio::process::Command;

use crate::Error;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a start is repeated while the kernel still counts the file as being written.
const BUSY_RETRIES_MAX: u32 = 20;

/// Accepts or refuses a server version; the refusal names both the version found and the one required.
pub fn check_version(found: &str) -> Result<(), Error> {
    Ok(server_version::check(found)?)
}

/// Asks a binary for its version (`nats-server --version`), without judging it.
///
/// Fails when the file cannot be run, does not answer in ten seconds, or answers something else.
pub async fn binary_version(path: &Path) -> Result<String, Error> {
    let not_a_server = |reason: String| Error::NotAServer { path: path.to_owned(), reason };
    let output = tokio::time::timeout(ANSWER_TIMEOUT, run(path))
        .await
        .map_err(|_| not_a_server(format!("no answer to --version within {ANSWER_TIMEOUT:?}")))?
        .map_err(|error| not_a_server(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| not_a_server(format!("--version answered {:?}", text.trim())))
}

/// A file that was just written cannot be executed while a process forked meanwhile still holds it open.
async fn run(path: &Path) -> std::io::Result<std::process::Output> {
    let mut attempt = 0;
    loop {
        let mut command = Command::new(path);
        let outcome = command.arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
        match outcome {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy && attempt < BUSY_RETRIES_MAX =>
            {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            settled => return settled,
        }
    }
}

/// `nats-server: v2.12.8` gives `2.12.8`.
fn parse(answer: &str) -> Option<String> {
    let version = answer.trim().strip_prefix("nats-server: v")?;
    server_version::numbers(version).map(|_| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_answer_of_a_server_and_nothing_else() {
        assert_eq!(parse("nats-server: v2.12.8\n").as_deref(), Some("2.12.8"));
        for answer in ["", "nats-server", "v2.12.8", "nats-server: vnext", "python 3.11"] {
            assert_eq!(parse(answer), None, "{answer}");
        }
    }

    #[tokio::test]
    async fn names_the_file_that_is_no_server() {
        let error = binary_version(Path::new("/nonexistent/nats-server")).await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/nats-server"), "{error}");
    }
}
