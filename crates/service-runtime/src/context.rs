//! What a running service is handed.

use leat_contract::{Subjects, WorkerId};
use leat_messaging::{Connection, Error as MessagingError, Storage};
use tokio_util::sync::CancellationToken;

use crate::{Connections, Inflight, Metrics, Readiness, Tasks};

/// What a running service is handed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// Connections to the broker, one for each kind of traffic.
    pub connections: Connections,
    /// What is stored at the broker, on the storage connection.
    pub storage: Storage,
    /// Subjects under the configured prefix.
    pub subjects: Subjects,
    /// Cancelled when the service is to stop: end subscriptions, finish what is in flight, and return from `run`.
    pub shutdown: CancellationToken,
    /// Where the service says that it takes work, and why not. It starts as not ready.
    pub readiness: Readiness,
    /// Where the service counts accepted work that is not answered yet.
    pub inflight: Inflight,
    /// Where the service registers its metrics.
    pub metrics: Metrics,
    /// Whether spans go to a collector, so that it is worth while to begin a trace.
    pub traces: bool,
    /// Where the service starts background tasks.
    pub tasks: Tasks,
    /// The name of this instance, unique among all workers.
    pub instance: WorkerId,
}

impl Context {
    /// Opens a further connection with a thread of its own, for a service that one thread is not enough for. It is watched, counted and
    /// closed like the others.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub async fn connect(&self, purpose: &str) -> Result<Connection, MessagingError> {
        self.connect_further(purpose, false).await
    }

    /// Opens a further connection as [`Context::connect`] does, for subscriptions that bring work as those of the ingest connection do.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub async fn connect_ingest(&self, purpose: &str) -> Result<Connection, MessagingError> {
        self.connect_further(purpose, true).await
    }

    async fn connect_further(&self, purpose: &str, brings_work: bool) -> Result<Connection, MessagingError> {
        let connection = self.connections.another(purpose, brings_work).await?;
        let name = format!("connection {purpose}");
        let watching = self.connections.watch_one(name, &connection, &self.readiness, &self.tasks);
        let shutdown = self.shutdown.clone();
        self.tasks.spawn("connection", async move {
            shutdown.run_until_cancelled(watching).await.unwrap_or(Ok(()))
        });
        Ok(connection)
    }
}
