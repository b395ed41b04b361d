//! Signals: the first asks the service to stop, the second ends the process.

use std::io;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::exit_code;

/// Asks for shutdown at the first SIGTERM or SIGINT, and exits at the second.
pub(crate) async fn watch(mut signals: Signals, shutdown: CancellationToken) {
    let signal = signals.next().await;
    info!(signal, "stopping");
    shutdown.cancel();
    let signal = signals.next().await;
    error!(signal, "stopping at once, work may be lost");
    std::process::exit(i32::from(exit_code::INTERRUPTED));
}

#[cfg(unix)]
/// Signals that ask a process to end.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Catches the signals from now on. Call it within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
/// Signals that ask a process to end.
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Catches the signals from now on. Call it within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "CTRL-C",
            Err(_) => std::future::pending().await,
        }
    }
}
