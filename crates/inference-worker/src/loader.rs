//! Gets the version that a route means: from the routes in force, from the warm ones, or from the store.

use std::sync::{Arc, PoisonError};

use leat_contract::{Deployment, Route, assets::AssetRole};
use tracing::info;

use crate::Error;
use crate::loaded::LoadedVersion;
use crate::served::RouteTable;
use crate::shared::Shared;

/// Gives the version that a route of a deployment means, ready to answer. `current` are the routes in force.
///
/// # Errors
/// When the blob is missing or damaged, does not come in time, is not a model, or not one that the engine runs.
pub(crate) async fn obtain(
    shared: &Arc<Shared>,
    deployment: &Deployment,
    route: &Route,
    current: Option<&RouteTable>,
) -> Result<Arc<LoadedVersion>, Error> {
    let model = &deployment.model;
    let in_force =
        current.and_then(|routes| routes.version(route.version)).filter(|loaded| loaded.is(model, route));
    if let Some(version) = in_force {
        return Ok(version.clone());
    }
    let warm = shared.warm.lock().unwrap_or_else(PoisonError::into_inner).get(model, route);
    if let Some(version) = warm {
        return Ok(version);
    }
    load(shared, deployment, route).await
}

async fn load(
    shared: &Arc<Shared>,
    deployment: &Deployment,
    route: &Route,
) -> Result<Arc<LoadedVersion>, Error> {
    let begun = std::time::Instant::now();
    let blobs = shared.context.storage.objects(AssetRole::Models);
    let after = shared.settings.load_timeout();
    let fetching = tokio::time::timeout(after, blobs.get(route.digest.as_str())).await;
    let timed_out = |_| leat_messaging::Error::Timeout { what: format!("object {}", route.digest), after };
    let bytes = fetching.map_err(timed_out)??;
    let (name, meant) = (deployment.model.clone(), route.clone());
    let rows_max = usize::try_from(deployment.batching.max_size)
        .unwrap_or(usize::MAX)
        .min(shared.settings.batch_rows_max);
    // Compiling and warming up take milliseconds to seconds: too long for the runtime's own threads.
    let building = tokio::task::spawn_blocking(move || LoadedVersion::build(&name, &meant, &bytes, rows_max));
    let failed =
        |error: tokio::task::JoinError| Error::Thread { name: "load".to_owned(), reason: error.to_string() };
    let version = Arc::new(building.await.map_err(failed)??);
    shared.roster.loaded(&version);
    let (elapsed_ms, plan) = (begun.elapsed().as_millis(), version.plan.describe());
    info!(model = %deployment.model, version = %route.version, plan, elapsed_ms, "model loaded");
    Ok(version)
}
