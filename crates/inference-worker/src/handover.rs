//! Waiting until other workers serve a model that was taken from this one: until then it goes on answering.

use std::time::Duration;

use leat_contract::assets::AssetRole;
use leat_contract::{Deployment, WorkerLease};
use leat_messaging::{Error, Watched};
use tracing::warn;

use crate::shared::Shared;

/// Waits until a worker that the deployment selects answers with the version that has the largest share, at most as long as loading all
/// of its versions may take.
pub(crate) async fn wait(shared: &Shared, deployment: &Deployment) {
    let loads = deployment.versions().map(|_| shared.settings.load_timeout());
    let timeout: Duration = loads.sum();
    match tokio::time::timeout(timeout, taken_over(shared, deployment)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            warn!(model = %deployment.model, %error, "cannot see whether other workers serve the model")
        }
        Err(_) => warn!(model = %deployment.model, ?timeout, "no worker that is selected serves the model"),
    }
}

async fn taken_over(shared: &Shared, deployment: &Deployment) -> Result<(), Error> {
    let Some(principal) = deployment.principal() else { return Ok(()) };
    let mut leases = shared.context.storage.key_value::<WorkerLease>(AssetRole::Actual).watch()?;
    loop {
        match leases.next().await {
            Ok(Watched::Change(change)) => {
                let answers = |lease: &WorkerLease| {
                    deployment.selects(&lease.labels) && lease.serves(&deployment.model, principal.version)
                };
                if change.value.as_ref().is_some_and(answers) {
                    return Ok(());
                }
            }
            Ok(Watched::Current) => {}
            Err(error) => warn!(%error, "a lease cannot be read"),
        }
    }
}
