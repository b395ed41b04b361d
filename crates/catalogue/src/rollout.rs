//! Waiting until workers have followed a deployment.

use std::time::Duration;

use leat_contract::{AssetRole, Deployment, LoadState, WorkerLease};
use leat_messaging::Entry;
use leat_service_runtime::unix_ms;
use tokio::time::Instant;

use crate::{Catalogue, Error};

const READY_POLL: Duration = Duration::from_millis(50);
/// A worker tries again what it could not load; what still fails after this long is told.
const FAILED_PATIENCE: Duration = Duration::from_secs(2);

impl Catalogue {
    /// The leases of the workers that are alive.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn live_workers(&self) -> Result<Vec<WorkerLease>, Error> {
        let now = unix_ms();
        let leases = self.storage.key_value::<WorkerLease>(AssetRole::Actual);
        let (entries, _) = leases.entries_readable().await?;
        Ok(entries.into_iter().map(|entry| entry.value).filter(|lease| !lease.is_expired(now)).collect())
    }

    /// Waits until every live worker that a deployment selects has applied it; gives how many there are.
    ///
    /// # Errors
    /// [`Error::CannotLoad`] when a worker cannot load a version, [`Error::NotServed`] when there is no such worker in time.
    pub async fn wait_until_served(
        &self,
        entry: &Entry<Deployment>,
        timeout: Duration,
    ) -> Result<usize, Error> {
        let (began, deadline) = (Instant::now(), Instant::now() + timeout);
        let model = &entry.value.model;
        loop {
            let mut live = self.live_workers().await?;
            live.retain(|lease| entry.value.selects(&lease.labels));
            let failure = live.iter().find_map(|lease| load_failure(lease, &entry.value));
            if let Some(failure) = failure.filter(|_| began.elapsed() > FAILED_PATIENCE) {
                return Err(failure);
            }
            let has_applied = |lease: &&WorkerLease| {
                lease.deployment_revisions.get(model).is_some_and(|revision| *revision >= entry.revision)
            };
            let applied = live.iter().filter(has_applied).count();
            if applied > 0 && applied == live.len() {
                return Ok(applied);
            }
            if Instant::now() >= deadline {
                let (model, live) = (model.clone(), live.len());
                return Err(Error::NotServed { model, applied, live, after: timeout });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
}

fn load_failure(lease: &WorkerLease, deployment: &Deployment) -> Option<Error> {
    // A version may stand there twice: as it answers, and as it could not be loaded together with other models.
    let failed = deployment.versions().find_map(|route| {
        lease.loaded.iter().find(|loaded| {
            let is_of_route = loaded.version == route.version && loaded.digest == route.digest;
            loaded.model == deployment.model && is_of_route && loaded.state == LoadState::Failed
        })
    })?;
    let reason = failed.error.as_ref().map_or("no reason was given", |error| error.message.as_str());
    Some(Error::CannotLoad {
        worker: lease.worker.clone(),
        model: failed.model.clone(),
        version: failed.version,
        reason: reason.to_owned(),
    })
}
