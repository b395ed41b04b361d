//! One deployed model: which of its versions answer, and how many requests wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use leat_contract::{Batching, Deployment, ModelName, ModelVersion};
use leat_messaging::micro::EndpointStats;

use crate::loaded::LoadedVersion;
use crate::schedule::Schedule;

/// A model with its routes. The routes are replaced as a whole; work in flight keeps those it began with.
#[derive(Debug)]
pub(crate) struct ServedModel {
    pub(crate) name: ModelName,
    routes: RwLock<Arc<RouteTable>>,
    queued: AtomicUsize,
    /// Its entry in the micro protocol, once it is listed.
    endpoint: OnceLock<Arc<EndpointStats>>,
}

impl ServedModel {
    pub(crate) fn new(name: ModelName, routes: RouteTable) -> Self {
        Self {
            name,
            routes: RwLock::new(Arc::new(routes)),
            queued: AtomicUsize::new(0),
            endpoint: OnceLock::new(),
        }
    }

    /// The routes in force.
    pub(crate) fn routes(&self) -> Arc<RouteTable> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other routes in force and gives the former ones.
    pub(crate) fn replace(&self, routes: RouteTable) -> Arc<RouteTable> {
        let mut current = self.routes.write().unwrap_or_else(PoisonError::into_inner);
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

    /// Takes a place in the queue of this model, if one is free.
    pub(crate) fn admit(&self, queue_max: usize) -> bool {
        let is_free = self.queued.fetch_add(1, Ordering::Relaxed) < queue_max;
        if !is_free {
            self.dequeued(1);
        }
        is_free
    }

    /// Gives back places in the queue.
    pub(crate) fn dequeued(&self, requests: usize) {
        self.queued.fetch_sub(requests, Ordering::Relaxed);
    }
}

/// The routes of one deployment, ready to be used.
#[derive(Debug)]
pub(crate) struct RouteTable {
    /// Every version of the deployment with its weight, in the order of the document.
    pub(crate) versions: Vec<(Arc<LoadedVersion>, u32)>,
    pub(crate) batching: Batching,
    pub(crate) queue_max: usize,
    pub(crate) record_ratio: f64,
    schedule: Schedule,
}

impl RouteTable {
    /// The table of a deployment whose versions are loaded, in the order of its routes.
    pub(crate) fn new(deployment: &Deployment, versions: Vec<Arc<LoadedVersion>>) -> Self {
        let weights: Vec<u32> = deployment.routes.iter().map(|route| route.weight).collect();
        Self {
            schedule: Schedule::new(&weights),
            versions: versions.into_iter().zip(weights).collect(),
            batching: deployment.batching.clone(),
            queue_max: usize::try_from(deployment.limits.queue_max).unwrap_or(usize::MAX),
            record_ratio: deployment.record.ratio,
        }
    }

    /// The version that answers the next request on the live route.
    pub(crate) fn next(&self) -> Option<&Arc<LoadedVersion>> {
        self.versions.get(self.schedule.next()?).map(|(version, _)| version)
    }

    /// The version with the largest share. What belongs to the live route as a whole is counted there.
    pub(crate) fn principal(&self) -> Option<&Arc<LoadedVersion>> {
        self.versions.iter().rev().max_by_key(|(_, weight)| *weight).map(|(version, _)| version)
    }

    /// The version with this number.
    pub(crate) fn version(&self, version: ModelVersion) -> Option<&Arc<LoadedVersion>> {
        self.versions.iter().map(|(loaded, _)| loaded).find(|loaded| loaded.version == version)
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
        assert!(model.admit(2) && model.admit(2) && !model.admit(2));
        model.dequeued(1);
        assert!(model.admit(2));
        assert_eq!(model.queued(), 2);
    }

    #[test]
    fn work_in_flight_keeps_the_routes_it_began_with() {
        let model = ServedModel::new("tiny".parse().unwrap(), table(&[100]));
        let before = model.routes();
        let former = model.replace(table(&[50, 50]));
        assert!(Arc::ptr_eq(&before, &former));
        assert_eq!(model.routes().versions.len(), 2);
        assert!(model.routes().version(ModelVersion::FIRST).is_some());
    }
}
