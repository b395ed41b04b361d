//! Gets the version that a route means: from the routes in force, from the warm ones, or from its blobs, kept or in the store.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use leat_contract::{Deployment, Digest, Route, assets::AssetRole};
use tracing::info;

use crate::Error;
use crate::fetch_turns::Pace;
use crate::loaded::{LoadedVersion, Meant};
use crate::making::{Blob, Condition, Made, Making};
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
/// Likewise before fetching gives way less: an eighth, so that the rest is left for the making.
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
    let courtesy = Courtesy { shared: shared.clone(), begun: Instant::now() };
    let members = meant.pipeline.iter().flat_map(|pipeline| &pipeline.members).map(|member| &member.digest);
    let loads = shared.clone();
    let making = Making {
        blobs: std::iter::once(&meant.route.digest).chain(members).map(Blob::of).collect(),
        meant,
        rows_max,
        cache: shared.blob_cache.clone(),
        blobs_from_cache: shared.metrics.blobs_from_cache.clone(),
        awaited: (haste == Haste::IsAwaited).then(|| shared.loading.awaited()),
        gives_way: courtesy.clone().giving_way(),
        is_awaited: Arc::new(move || loads.loading.is_awaited()),
    };
    let version = make(&courtesy, making).await?;
    // How much a plan takes is known when there is one: a blob may be far smaller.
    shared.budget.check(version.plan.bytes)?;
    Ok(version)
}

/// How a load behaves towards requests.
#[derive(Clone)]
struct Courtesy {
    shared: Arc<Shared>,
    begun: Instant,
}

impl Courtesy {
    /// Whether it gives way now, if it does so only in a part of the time that loading may take.
    fn gives_way(&self, part: u32) -> bool {
        let Shared { settings, traffic, loading, .. } = &*self.shared;
        self.begun.elapsed() < settings.load_timeout() / part && traffic.is_flowing() && !loading.is_awaited()
    }

    fn giving_way(self) -> Condition {
        Arc::new(move || self.gives_way(PATIENT_PART))
    }

    fn pace(&self) -> Pace {
        if self.gives_way(PATIENT_PART_OF_FETCHING) {
            Pace::GivingWay
        } else if self.gives_way(PATIENT_PART) {
            Pace::Impatient
        } else {
            Pace::AtOnce
        }
    }
}

/// Makes a version of blobs that are kept, and else of those of the store.
async fn make(courtesy: &Courtesy, mut making: Making) -> Result<Arc<LoadedVersion>, Error> {
    if making.cache.is_none() {
        fetch_missing(courtesy, &mut making.blobs).await?;
    }
    loop {
        match courtesy.shared.loading.run(move |done| making.make(done)).await? {
            Made::Version(version) => return version,
            Made::Missing(rest) => making = rest,
        }
        fetch_missing(courtesy, &mut making.blobs).await?;
    }
}

async fn fetch_missing(courtesy: &Courtesy, blobs: &mut [Blob]) -> Result<(), Error> {
    let Shared { fetch_turns, metrics, .. } = &*courtesy.shared;
    for blob in blobs.iter_mut().filter(|blob| blob.bytes.is_none()) {
        fetch_turns.wait(|| courtesy.pace()).await;
        blob.bytes = Some(fetch(courtesy, &blob.digest).await?);
        metrics.blobs_fetched.inc();
    }
    Ok(())
}

async fn fetch(courtesy: &Courtesy, digest: &Digest) -> Result<Vec<u8>, Error> {
    let Shared { context, settings, .. } = &*courtesy.shared;
    let blobs = context.storage.objects(AssetRole::Models);
    let after = settings.load_timeout();
    let gives_way = || courtesy.gives_way(PATIENT_PART_OF_FETCHING);
    let fetching = tokio::time::timeout(after, blobs.get_giving_way(digest.as_str(), gives_way)).await;
    let timed_out = |_| leat_messaging::Error::Timeout { what: format!("object {digest}"), after };
    Ok(fetching.map_err(timed_out)??)
}
