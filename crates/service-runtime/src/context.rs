//! What a running service is handed.

use leat_contract::{Subjects, WorkerId};
use leat_messaging::Storage;
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
    /// Where the service starts background tasks.
    pub tasks: Tasks,
    /// The name of this instance, unique among all workers.
    pub instance: WorkerId,
}
