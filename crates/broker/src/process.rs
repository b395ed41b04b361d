//! A server process that cannot outlive us.
//!
//! On Unix the server runs below a shell that reads from a pipe only we hold. When we die, however that happens,
//! the kernel closes the pipe, the shell's reader ends, and the server is told to stop. The shell stands in its own
//! process group, so that Ctrl-C in a terminal reaches us and our ordered shutdown, not the broker first.
//! On Windows the server is a plain child, killed when dropped; it survives only if we are killed hard.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};

use crate::Error;

/// Starts the server (`$@`), says its process id, and ends it when standard input closes.
#[cfg(unix)]
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
exec >/dev/null
(
  while read -r _ <&3; do :; done
  kill -TERM "$server"
  seconds=0
  while [ "$seconds" -lt 5 ] && kill -0 "$server"; do sleep 1; seconds=$((seconds + 1)); done
  kill -KILL "$server"
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// How the server, a program in Go, collects garbage, unless the environment names one of these: when the heap is eleven times
/// what is in use, or near the limit. By default it does so at twice that. While models are fetched that is every second or two, for 3 to
/// 4 ms, in which others wait for a processor.
const COLLECTION: [(&str, &str); 2] = [("GOGC", "1000"), ("GOMEMLIMIT", "1GiB")];

const SPAWN_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Held open for as long as the server shall run.
    lifeline: Option<ChildStdin>,
    server_id: u32,
}

impl Process {
    /// Starts `binary` with a configuration file; what it prints before it has a log goes to `log_file`.
    pub(crate) async fn spawn(binary: &Path, configuration: &Path, log_file: &Path) -> Result<Self, Error> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_file)
            .map_err(Error::io(format!("open {}", log_file.display())))?;
        let mut command = supervised(binary);
        if COLLECTION.iter().all(|(name, _)| std::env::var_os(name).is_none()) {
            command.envs(COLLECTION);
        }
        command.arg("-c").arg(configuration).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child =
            command.kill_on_drop(cfg!(not(unix))).spawn().map_err(Error::io("start nats-server"))?;
        let lifeline = child.stdin.take();
        let server_id = tokio::time::timeout(SPAWN_TIMEOUT, announced_id(&mut child))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(Error::io("read the process id of nats-server"))?;
        Ok(Self { child, lifeline, server_id })
    }

    /// The operating system's id of the server itself.
    pub(crate) fn id(&self) -> u32 {
        self.server_id
    }

    /// How the server ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the server to stop, waits for it, and kills it when it does not.
    pub(crate) async fn stop(&mut self) {
        self.lifeline = None;
        #[cfg(not(unix))]
        self.signal_kill();
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Ends the server at once, as a crash would, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.signal_kill();
        // The supervisor ends with the server it waits for.
        if tokio::time::timeout(KILL_TIMEOUT, self.child.wait()).await.is_err() {
            tracing::warn!(server_id = self.server_id, "nats-server did not end after being killed");
        }
    }

    /// The supervisor reaps the server, so while the supervisor runs the id still is the server's.
    #[cfg(unix)]
    fn signal_kill(&mut self) {
        let running = self.ended().is_none();
        let id = i32::try_from(self.server_id).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id.filter(|_| running) {
            // The only failure is that the server has ended already.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
    }

    #[cfg(not(unix))]
    fn signal_kill(&mut self) {
        // The only failure is that the server has ended already.
        let _ = self.child.start_kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal_kill();
    }
}

#[cfg(unix)]
fn supervised(binary: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SUPERVISOR).arg("leat-broker").arg(binary).process_group(0);
    command
}

#[cfg(not(unix))]
fn supervised(binary: &Path) -> Command {
    Command::new(binary)
}

/// The supervisor's first line.
#[cfg(unix)]
async fn announced_id(child: &mut Child) -> std::io::Result<u32> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let stdout = child.stdout.take().ok_or_else(invalid)?;
    let mut line = String::new();
    BufReader::new(stdout.take(64)).read_line(&mut line).await?;
    line.trim().parse().map_err(|_| invalid())
}

#[cfg(not(unix))]
async fn announced_id(child: &mut Child) -> std::io::Result<u32> {
    child.id().ok_or_else(|| std::io::ErrorKind::NotFound.into())
}
