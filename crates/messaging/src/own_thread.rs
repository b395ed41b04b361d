//! A thread that runs one connection and what lives from it.
//!
//! Two things need it. Computation on the service's runtime cannot delay the connection's tasks. And the
//! connection can be held still for a moment, so that closing it loses nothing (see `drain`). Short tasks that live from the
//! connection's messages run here too, because waking another thread would take longer than they do.

use std::future::Future;
use std::thread::ThreadId;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::Error;

/// A thread with a single-threaded runtime; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnThread {
    runtime: Handle,
    id: ThreadId,
    /// Dropping it ends the thread, and with the runtime the connection's tasks.
    _end: oneshot::Sender<()>,
}

impl OwnThread {
    pub(crate) fn start(name: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Invalid { what: "thread", reason: error.to_string() };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("nats {name}"))
            .spawn(move || {
                // It resolves when the sender is dropped, which is the signal.
                let _ = runtime.block_on(ended);
            })
            .map_err(failed)?;
        Ok(Self { runtime: handle, id: thread.thread().id(), _end: end })
    }

    /// Whether it is the one that asks.
    pub(crate) fn is_current(&self) -> bool {
        std::thread::current().id() == self.id
    }

    /// What starts tasks on the thread; they end with the thread at the latest.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Starts a task on the thread; it ends with the thread at the latest.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime.spawn(task).abort_handle()
    }

    /// Runs a future on the thread and gives what it gives.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        self.runtime.spawn(future).await.map_err(|_| Error::Closed)
    }
}
