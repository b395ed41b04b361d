//! Says what this worker has loaded, every few seconds and whenever it changes.

use std::sync::Arc;
use std::time::Duration;

use leat_contract::{WorkerLease, assets::AssetRole};
use leat_messaging::KeyValue;
use leat_service_runtime::unix_ms;
use tracing::warn;

use crate::Error;
use crate::shared::Shared;

/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// What giving the lease back may take.
const WITHDRAW_TIMEOUT: Duration = Duration::from_secs(2);

/// Renews the lease until shutdown, then gives it back, so that nobody counts on this worker while it drains.
///
/// # Errors
/// Never: a broker that is away is waited for.
pub(crate) async fn keep(shared: Arc<Shared>, started_at: u64) -> Result<(), Error> {
    let leases = shared.context.storage.key_value::<WorkerLease>(AssetRole::Actual);
    let shutdown = shared.context.shutdown.clone();
    // Not while a renewal is under way: it could arrive behind the withdrawal.
    while !shutdown.is_cancelled() {
        let pause = renew(&shared, &leases, started_at).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.board.changed() => {}
            () = shutdown.cancelled() => {}
        }
    }
    let key = shared.context.instance.as_str();
    match tokio::time::timeout(WITHDRAW_TIMEOUT, leases.delete(key)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the lease was not given back, it will expire"),
        Err(_) => warn!("the lease was not given back in time, it will expire"),
    }
    Ok(())
}

/// Writes the lease and gives the time until it must be written again.
async fn renew(shared: &Shared, leases: &KeyValue<WorkerLease>, started_at: u64) -> Duration {
    let (loaded, deployment_revisions) = shared.board.snapshot();
    let worker = shared.context.instance.clone();
    let labels = shared.settings.labels.clone();
    let renewed_at = unix_ms();
    let lease = WorkerLease { worker, started_at, loaded, deployment_revisions, labels, renewed_at };
    match leases.put(lease.worker.as_str(), &lease).await {
        Ok(_) => shared.settings.lease_interval(),
        Err(error) => {
            warn!(%error, "the lease was not renewed");
            RETRY
        }
    }
}
