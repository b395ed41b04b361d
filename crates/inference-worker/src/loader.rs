//! Gets the version that a route means: from the routes in force, from the warm ones, or from its blobs, kept or in the store.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use leat_contract::{Deployment, Digest, Route, assets::AssetRole};
use tracing::info;

use crate::Error;
use crate::loaded::{LoadedVersion, Meant};
use crate::making::{Blob, Made, Making};
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
    let meant = Meant {
        model: deployment.model.clone(),
        route: route.clone(),
        pipeline: deployment.pipeline.clone(),
    };
    let in_force = current.and_then(|routes| routes.loaded().find(|loaded| loaded.is(&meant)));
    if let Some(version) = in_force {
        return Ok(version.clone());
    }
    let warm = shared.warm.lock().unwrap_or_else(PoisonError::into_inner).get(&meant);
    if let Some(version) = warm {
        return Ok(version);
    }
    load(shared, deployment, meant).await
}

async fn load(
    shared: &Arc<Shared>,
    deployment: &Deployment,
    meant: Meant,
) -> Result<Arc<LoadedVersion>, Error> {
    let begun = Instant::now();
    let rows_max = usize::try_from(deployment.batching.max_size).unwrap_or(usize::MAX);
    let rows_max = rows_max.min(shared.settings.batch_rows_max);
    let version = build(shared, meant, rows_max, Haste::CanWait).await?;
    shared.roster.loaded(&version);
    shared.budget.make_room(shared.roster.all(), &version);
    let (elapsed_ms, plan) = (begun.elapsed().as_millis(), version.plan.describe());
    info!(model = %deployment.model, version = %version.version, plan, elapsed_ms, "model loaded");
    Ok(version)
}

/// Whether loading gives way to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// While requests come, to whatever model, there are rests, for a part of the time that loading may take, and as long as no load is
    /// awaited.
    CanWait,
    /// Requests wait for the model.
    IsAwaited,
}

/// Of the time that loading may take, so much goes by before it stops giving way: a quarter.
const PATIENT_PART: u32 = 4;
/// Likewise before fetching does: an eighth, so that the rest is left for the making.
const PATIENT_PART_OF_FETCHING: u32 = 8;

/// Reads or fetches, checks and compiles a version on the thread for loading, ready for batches of so many rows.
///
/// # Errors
/// As [`obtain`], and when it is larger than the memory budget.
pub(crate) async fn build(
    shared: &Arc<Shared>,
    meant: Meant,
    rows_max: usize,
    haste: Haste,
) -> Result<Arc<LoadedVersion>, Error> {
    let (begun, timeout) = (Instant::now(), shared.settings.load_timeout());
    let gives_way = |patience: Duration| {
        let shared = shared.clone();
        move || begun.elapsed() < patience && shared.traffic.is_flowing() && !shared.loading.is_awaited()
    };
    let members = meant.pipeline.iter().flat_map(|pipeline| &pipeline.members).map(|member| &member.digest);
    let loads = shared.clone();
    let making = Making {
        blobs: std::iter::once(&meant.route.digest).chain(members).map(Blob::of).collect(),
        meant,
        rows_max,
        cache: shared.blob_cache.clone(),
        blobs_from_cache: shared.metrics.blobs_from_cache.clone(),
        awaited: (haste == Haste::IsAwaited).then(|| shared.loading.awaited()),
        gives_way: Arc::new(gives_way(timeout / PATIENT_PART)),
        is_awaited: Arc::new(move || loads.loading.is_awaited()),
    };
    let version = make(shared, making, gives_way(timeout / PATIENT_PART_OF_FETCHING)).await?;
    // How much a plan takes is known when there is one: a blob may be far smaller.
    shared.budget.check(version.plan.bytes)?;
    Ok(version)
}

/// Makes a version of blobs that are kept, and else of those of the store.
async fn make(
    shared: &Shared,
    mut making: Making,
    gives_way: impl Fn() -> bool,
) -> Result<Arc<LoadedVersion>, Error> {
    if making.cache.is_none() {
        fetch_missing(shared, &mut making.blobs, &gives_way).await?;
    }
    loop {
        match shared.loading.run(move |done| making.make(done)).await? {
            Made::Version(version) => return version,
            Made::Missing(rest) => making = rest,
        }
        fetch_missing(shared, &mut making.blobs, &gives_way).await?;
    }
}

async fn fetch_missing(
    shared: &Shared,
    blobs: &mut [Blob],
    gives_way: impl Fn() -> bool,
) -> Result<(), Error> {
    for blob in blobs.iter_mut().filter(|blob| blob.bytes.is_none()) {
        shared.fetch_turns.wait(&gives_way).await;
        blob.bytes = Some(fetch(shared, &blob.digest, &gives_way).await?);
        shared.metrics.blobs_fetched.inc();
    }
    Ok(())
}

async fn fetch(shared: &Shared, digest: &Digest, gives_way: impl Fn() -> bool) -> Result<Vec<u8>, Error> {
    let blobs = shared.context.storage.objects(AssetRole::Models);
    let after = shared.settings.load_timeout();
    let fetching = tokio::time::timeout(after, blobs.get_giving_way(digest.as_str(), gives_way)).await;
    let timed_out = |_| leat_messaging::Error::Timeout { what: format!("object {digest}"), after };
    Ok(fetching.map_err(timed_out)??)
}
