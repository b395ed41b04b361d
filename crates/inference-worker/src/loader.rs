//! Gets the version that a route means: from the routes in force, from the warm ones, or from the store.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use leat_contract::{Deployment, Digest, Route, assets::AssetRole};
use tracing::info;

use crate::Error;
use crate::loaded::{LoadedVersion, Meant};
use crate::served::RouteTable;
use crate::shared::Shared;
use crate::yielding::Slices;

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

/// Fetches, checks and compiles a version on the thread for loading, ready for batches of so many rows.
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
    let _awaited = (haste == Haste::IsAwaited).then(|| shared.loading.awaited());
    let members = meant.pipeline.iter().flat_map(|pipeline| &pipeline.members).map(|member| &member.digest);
    let mut blobs = Vec::new();
    for digest in std::iter::once(&meant.route.digest).chain(members) {
        blobs.push(blob(shared, digest, || gives_way(timeout / PATIENT_PART_OF_FETCHING)).await?);
    }
    let making = gives_way(timeout / PATIENT_PART);
    let building = shared.loading.run(move || {
        in_slices(making, || LoadedVersion::build(meant, &blobs, rows_max).map(|version| (version, blobs)))
    });
    let (version, blobs) = building.await??;
    keep(shared, blobs, gives_way(timeout / PATIENT_PART));
    // How much a plan takes is known when there is one: a blob may be far smaller.
    shared.budget.check(version.plan.bytes)?;
    Ok(Arc::new(version))
}

/// The bytes of a model as they are stored.
struct Blob {
    digest: Digest,
    bytes: Vec<u8>,
    is_kept: bool,
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A blob: the one that is kept here, or else that of the store.
async fn blob<G>(shared: &Shared, digest: &Digest, gives_way: impl Fn() -> G) -> Result<Blob, Error>
where
    G: Fn() -> bool + Send + 'static,
{
    let kept = match &shared.blob_cache {
        Some(cache) => {
            let (cache, digest, reading) = (cache.clone(), digest.clone(), gives_way());
            shared.loading.run(move || in_slices(reading, || cache.get(&digest))).await?
        }
        None => None,
    };
    let is_kept = kept.is_some();
    let bytes = match kept {
        Some(bytes) => bytes,
        None => fetch(shared, digest, gives_way()).await?,
    };
    let counter = if is_kept { &shared.metrics.blobs_from_cache } else { &shared.metrics.blobs_fetched };
    counter.inc();
    Ok(Blob { digest: digest.clone(), bytes, is_kept })
}

/// Keeps what was fetched, once nobody waits for it any more.
fn keep(shared: &Shared, blobs: Vec<Blob>, gives_way: impl Fn() -> bool + Send + 'static) {
    let Some(cache) = shared.blob_cache.clone() else { return };
    let fetched: Vec<Blob> = blobs.into_iter().filter(|blob| !blob.is_kept).collect();
    if fetched.is_empty() {
        return;
    }
    shared.loading.run_later(move || {
        in_slices(gives_way, || fetched.iter().for_each(|blob| cache.keep(&blob.digest, &blob.bytes)));
    });
}

/// Does work that can wait on the thread for loading.
fn in_slices<T>(gives_way: impl Fn() -> bool + 'static, work: impl FnOnce() -> T) -> T {
    let slices = Slices::begin(gives_way);
    leat_pauses::with_pauses(move || slices.pause(), work)
}

async fn fetch(shared: &Shared, digest: &Digest, gives_way: impl Fn() -> bool) -> Result<Vec<u8>, Error> {
    let blobs = shared.context.storage.objects(AssetRole::Models);
    let after = shared.settings.load_timeout();
    let fetching = tokio::time::timeout(after, blobs.get_giving_way(digest.as_str(), gives_way)).await;
    let timed_out = |_| leat_messaging::Error::Timeout { what: format!("object {digest}"), after };
    Ok(fetching.map_err(timed_out)??)
}
