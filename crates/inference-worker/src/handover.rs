//! Waiting until other workers serve a model that was taken from this one: until then it goes on answering.

use leat_contract::assets::AssetRole;
use leat_contract::{Deployment, WorkerLease};
use leat_messaging::{Error, Watched};
use tracing::warn;

use crate::shared::Shared;

/// Waits until a worker that the deployment selects has put this or a newer revision in force, at most as long as loading may take.
pub(crate) async fn wait(shared: &Shared, deployment: &Deployment, revision: u64) {
    let timeout = shared.settings.load_timeout();
    match tokio::time::timeout(timeout, taken_over(shared, deployment, revision)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            warn!(model = %deployment.model, %error, "cannot see whether other workers serve the model")
        }
        Err(_) => warn!(model = %deployment.model, ?timeout, "no worker that is selected serves the model"),
    }
}

async fn taken_over(shared: &Shared, deployment: &Deployment, revision: u64) -> Result<(), Error> {
    let mut leases = shared.context.storage.key_value::<WorkerLease>(AssetRole::Actual).watch()?;
    loop {
        match leases.next().await {
            Ok(Watched::Change(change)) => {
                let serves = |lease: &WorkerLease| {
                    let applied = lease.deployment_revisions.get(&deployment.model);
                    deployment.selects(&lease.labels) && applied.is_some_and(|applied| *applied >= revision)
                };
                if change.value.as_ref().is_some_and(serves) {
                    return Ok(());
                }
            }
            Ok(Watched::Current) => {}
            Err(error) => warn!(%error, "a lease cannot be read"),
        }
    }
}
