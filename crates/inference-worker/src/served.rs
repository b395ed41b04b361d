//! One deployed model: which of its versions answer, and how many requests wait for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use leat_contract::{Batching, Deployment, DeploymentLimits, ModelName, ModelVersion, Pipeline};
use leat_messaging::micro::EndpointStats;

use crate::loaded::LoadedVersion;
use crate::pace::Pace;
use crate::queue::Excess;
use crate::repeats::Repeats;
use crate::response_cache::ResponseCache;
use crate::schedule::Schedule;
use crate::shadow::ShadowRoute;
use crate::sticky;

/// A model with its routes. The routes are replaced as a whole; work in flight keeps those it began with.
#[derive(Debug)]
pub(crate) struct ServedModel {
    pub(crate) name: ModelName,
    routes: RwLock<Arc<RouteTable>>,
    queued: AtomicUsize,
    queued_bytes: AtomicUsize,
    /// How long its requests take.
    pub(crate) pace: Pace,
    /// Its entry in the micro protocol, once it is listed.
    endpoint: OnceLock<Arc<EndpointStats>>,
}

impl ServedModel {
    pub(crate) fn new(name: ModelName, routes: RouteTable) -> Self {
        Self {
            name,
            routes: RwLock::new(Arc::new(routes)),
            queued: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            pace: Pace::default(),
            endpoint: OnceLock::new(),
        }
    }

    /// The routes in force.
    pub(crate) fn routes(&self) -> Arc<RouteTable> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other routes in force and gives the former ones.
    pub(crate) fn replace(&self, mut routes: RouteTable) -> Arc<RouteTable> {
        let mut current = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.keep_cache_of(&current);
        std::mem::replace(&mut *current, Arc::new(routes))
    }

    /// Says where answers are counted for the micro protocol.
    pub(crate) fn set_endpoint(&self, endpoint: Arc<EndpointStats>) {
        // It is listed once in its life.
        let _ = self.endpoint.set(endpoint);
    }

    /// Counts answers for the micro protocol: how many results, how long all of them took together, and the errors.
    pub(crate) fn answered<'a>(
        &self,
        results: usize,
        total: Duration,
        errors: impl Iterator<Item = &'a str>,
    ) {
        let Some(endpoint) = self.endpoint.get() else { return };
        endpoint.record_many(results as u64, total);
        errors.for_each(|error| endpoint.record(Duration::ZERO, Err(error)));
    }

    /// Requests that wait for this model.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Takes a place in the queue of this model for a request of so many bytes, if one is free.
    pub(crate) fn admit(&self, limits: &QueueLimits, bytes: usize) -> bool {
        let is_free = self.queued.fetch_add(1, Ordering::Relaxed) < limits.count_max;
        let bytes_before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_admitted = is_free && bytes_before.saturating_add(bytes) <= limits.bytes_max;
        if !is_admitted {
            self.dequeued(bytes);
        }
        is_admitted
    }

    /// By how much its queue would be too full with one more request of so many bytes.
    pub(crate) fn excess(&self, limits: &QueueLimits, bytes: usize) -> Excess {
        let waiting = self.queued_bytes.load(Ordering::Relaxed);
        Excess {
            count: (self.queued() + 1).saturating_sub(limits.count_max),
            bytes: waiting.saturating_add(bytes).saturating_sub(limits.bytes_max),
        }
    }

    /// Takes back the place that a request of so many bytes gave up a moment ago.
    pub(crate) fn requeued(&self, bytes: usize) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back the place of a request of so many bytes.
    pub(crate) fn dequeued(&self, bytes: usize) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What may wait for one model on this worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) count_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) wait_max: Duration,
}

impl QueueLimits {
    fn new(limits: &DeploymentLimits) -> Self {
        Self {
            count_max: usize::try_from(limits.queue_max).unwrap_or(usize::MAX),
            bytes_max: usize::try_from(limits.queue_bytes_max).unwrap_or(usize::MAX),
            wait_max: Duration::from_millis(limits.queue_wait_max_ms.into()),
        }
    }
}

/// The routes of one deployment, ready to be used.
#[derive(Debug)]
pub(crate) struct RouteTable {
    /// Every version of the deployment with its weight, in the order of the document.
    pub(crate) versions: Vec<(Arc<LoadedVersion>, u32)>,
    pub(crate) batching: Batching,
    pub(crate) limits: QueueLimits,
    pub(crate) record_ratio: f64,
    pub(crate) pipeline: Option<Pipeline>,
    /// Answers from before, when the deployment wants them.
    pub(crate) cache: Option<Arc<ResponseCache>>,
    /// The version that gets copies of live requests.
    pub(crate) shadow: Option<Arc<ShadowRoute>>,
    /// When each version that a canary is compared with, and itself, may repeat a run.
    pub(crate) repeats: BTreeMap<ModelVersion, Repeats>,
    schedule: Schedule,
}

impl RouteTable {
    /// The table of a deployment whose versions are loaded, in the order of [`Deployment::versions`].
    pub(crate) fn new(deployment: &Deployment, versions: Vec<Arc<LoadedVersion>>) -> Self {
        let weights: Vec<u32> = deployment.routes.iter().map(|route| route.weight).collect();
        let shadow = deployment.shadow.as_ref().zip(versions.get(weights.len()));
        let shadow = shadow.map(|(shadow, version)| Arc::new(ShadowRoute::new(shadow, version.clone())));
        let compared =
            deployment.routes.iter().filter(|route| deployment.canary.is_some() && route.weight > 0);
        Self {
            shadow,
            repeats: compared.map(|route| (route.version, Repeats::default())).collect(),
            pipeline: deployment.pipeline.clone(),
            cache: deployment.cache.as_ref().map(|cache| {
                Arc::new(ResponseCache::new(usize::try_from(cache.bytes_max).unwrap_or(usize::MAX)))
            }),
            schedule: Schedule::new(&weights),
            versions: versions.into_iter().zip(weights).collect(),
            batching: deployment.batching.clone(),
            limits: QueueLimits::new(&deployment.limits),
            record_ratio: deployment.record.ratio,
        }
    }

    /// The version that answers the next request on the live route.
    pub(crate) fn next(&self) -> Option<&Arc<LoadedVersion>> {
        self.versions.get(self.schedule.next()?).map(|(version, _)| version)
    }

    /// The version that answers the requests with a key that comes to this number.
    pub(crate) fn sticky(&self, key: u64) -> Option<&Arc<LoadedVersion>> {
        let routes =
            self.versions.iter().map(|(version, weight)| (u64::from(version.version.get()), *weight));
        self.versions.get(sticky::choose(key, routes)?).map(|(version, _)| version)
    }

    /// The version with the largest share. What belongs to the live route as a whole is counted there.
    pub(crate) fn principal(&self) -> Option<&Arc<LoadedVersion>> {
        self.versions.iter().rev().max_by_key(|(_, weight)| *weight).map(|(version, _)| version)
    }

    /// Goes on with the answers that are there, when as many may be kept and the same models answer together: they are kept by
    /// blob, so none becomes wrong.
    fn keep_cache_of(&mut self, former: &Self) {
        if let (Some(cache), Some(kept)) = (&mut self.cache, &former.cache)
            && cache.bytes_max() == kept.bytes_max()
            && self.pipeline == former.pipeline
        {
            *cache = kept.clone();
        }
    }

    /// Every version that the deployment names, the shadow too.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Arc<LoadedVersion>> {
        let shadow = self.shadow.iter().map(|shadow| &shadow.version);
        self.versions.iter().map(|(version, _)| version).chain(shadow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{tiny_deployment, tiny_version};

    fn table(weights: &[u32]) -> RouteTable {
        let versions: Vec<_> = (1..).zip(weights).map(|(number, _)| Arc::new(tiny_version(number))).collect();
        RouteTable::new(&tiny_deployment(&versions, weights), versions)
    }

    #[test]
    fn the_live_route_is_shared_by_weight() {
        let table = table(&[75, 25, 0]);
        let answers: Vec<u32> = (0..100).map(|_| table.next().unwrap().version.get()).collect();
        assert_eq!(answers.iter().filter(|version| **version == 1).count(), 75);
        assert_eq!(answers.iter().filter(|version| **version == 3).count(), 0);
        assert_eq!(table.principal().unwrap().version.get(), 1);
    }

    #[test]
    fn a_model_admits_as_many_requests_as_its_deployment_allows() {
        let model = ServedModel::new("tiny".parse().unwrap(), table(&[100]));
        let limits = QueueLimits { count_max: 2, bytes_max: 10, wait_max: Duration::MAX };
        assert!(model.admit(&limits, 3) && model.admit(&limits, 3) && !model.admit(&limits, 3));
        model.dequeued(3);
        assert!(!model.admit(&limits, 8), "too many bytes");
        assert!(model.admit(&limits, 7));
        assert_eq!(model.queued(), 2);
    }

    #[test]
    fn work_in_flight_keeps_the_routes_it_began_with() {
        let model = ServedModel::new("tiny".parse().unwrap(), table(&[100]));
        let before = model.routes();
        let former = model.replace(table(&[50, 50]));
        assert!(Arc::ptr_eq(&before, &former));
        assert_eq!(model.routes().versions.len(), 2);
        assert!(model.routes().loaded().any(|version| version.version.get() == 1));
    }
}
