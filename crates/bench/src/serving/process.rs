//! One contender as a child process that cannot outlive us: it stops when its standard input closes, and the kernel closes that
//! when we end, however we end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::Error;

/// Longer than what is outstanding takes; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const LOG_TAIL_BYTES: usize = 2048;

/// A running contender, killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it says goes to a file in `logs`.
    ///
    /// # Errors
    /// When there is no such program.
    pub(super) fn start(name: &'static str, command: &mut Command, logs: &Path) -> Result<Self, Error> {
        let log = logs.join(format!("{name}.log"));
        let failed = |cause: std::io::Error| Error::File {
            path: log.display().to_string(),
            reason: cause.to_string(),
        };
        let file = File::create(&log).map_err(failed)?;
        let errors = file.try_clone().map_err(failed)?;
        command.stdin(Stdio::piped()).stdout(file).stderr(errors).kill_on_drop(true);
        // Its own process group, so that Ctrl-C in a terminal reaches us alone and we stop everything in order.
        #[cfg(unix)]
        command.process_group(0);
        let program = command.as_std().get_program().display().to_string();
        let child =
            command.spawn().map_err(|cause| Error::File { path: program, reason: cause.to_string() })?;
        Ok(Self { name, child, log })
    }

    /// # Errors
    /// When it has ended, with the end of its log.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.failure("has ended")),
        }
    }

    /// What it was started as.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// What went wrong, with the end of its log.
    pub(super) fn failure(&self, what: impl Into<String>) -> Error {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default();
        let tail = String::from_utf8_lossy(tail).into_owned();
        Error::Process { name: self.name.to_owned(), what: what.into(), tail }
    }

    /// Begins its ordered end.
    pub(super) fn ask_to_stop(&mut self) {
        self.child.stdin = None;
    }

    /// Waits until it has ended, and kills it when that takes too long.
    pub(super) async fn stop(&mut self) {
        self.ask_to_stop();
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            // The only failure is that it has ended already.
            let _ = self.child.kill().await;
        }
    }
}
