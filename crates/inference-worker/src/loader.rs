//! Gets the version that a route means: from the routes in force, from the warm ones, or from the store.

use std::sync::{Arc, PoisonError};

use leat_contract::{Deployment, ModelName, Route, assets::AssetRole};
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
    let in_force = current.and_then(|routes| routes.loaded().find(|loaded| loaded.is(model, route)));
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
    let rows_max = usize::try_from(deployment.batching.max_size).unwrap_or(usize::MAX);
    let rows_max = rows_max.min(shared.settings.batch_rows_max);
    let version = build(shared, &deployment.model, route.clone(), rows_max).await?;
    shared.roster.loaded(&version);
    shared.budget.make_room(shared.roster.all(), &version);
    let (elapsed_ms, plan) = (begun.elapsed().as_millis(), version.plan.describe());
    info!(model = %deployment.model, version = %route.version, plan, elapsed_ms, "model loaded");
    Ok(version)
}

/// Fetches, checks and compiles a version on the thread for loading, ready for batches of so many rows.
///
/// # Errors
/// As [`obtain`], and when it is larger than the memory budget.
pub(crate) async fn build(
    shared: &Arc<Shared>,
    model: &ModelName,
    route: Route,
    rows_max: usize,
) -> Result<Arc<LoadedVersion>, Error> {
    let blobs = shared.context.storage.objects(AssetRole::Models);
    let after = shared.settings.load_timeout();
    let fetching = tokio::time::timeout(after, blobs.get(route.digest.as_str())).await;
    let timed_out = |_| leat_messaging::Error::Timeout { what: format!("object {}", route.digest), after };
    let bytes = fetching.map_err(timed_out)??;
    shared.budget.check(bytes.len())?;
    let model = model.clone();
    let building = shared.loading.run(move || LoadedVersion::build(&model, &route, &bytes, rows_max));
    Ok(Arc::new(building.await??))
}
