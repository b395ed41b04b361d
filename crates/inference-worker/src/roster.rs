//! Every version and every model in memory, for the tasks that report on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leat_contract::{ModelName, ModelTelemetry};
use leat_statistics::LatencyEncoder;

use crate::loaded::LoadedVersion;
use crate::served::ServedModel;

/// What is in memory.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    versions: Vec<Arc<LoadedVersion>>,
    served: BTreeMap<ModelName, Arc<ServedModel>>,
}

impl Roster {
    /// A version was loaded.
    pub(crate) fn loaded(&self, version: &Arc<LoadedVersion>) {
        self.lock().versions.push(version.clone());
    }

    /// A model is served from now on.
    pub(crate) fn serves(&self, served: &Arc<ServedModel>) {
        self.lock().served.insert(served.name.clone(), served.clone());
    }

    /// A model is served no more.
    pub(crate) fn withdrawn(&self, model: &ModelName) {
        self.lock().served.remove(model);
    }

    /// Every version that is known.
    pub(crate) fn all(&self) -> Vec<Arc<LoadedVersion>> {
        self.lock().versions.clone()
    }

    /// How many versions are in memory.
    pub(crate) fn versions(&self) -> usize {
        self.lock().versions.iter().filter(|version| version.plan.is_here()).count()
    }

    /// Takes the counters of every version that is served or has something to tell. A version that nobody else holds is
    /// forgotten once its counters are empty, so that none are lost.
    pub(crate) fn take_counters(&self, encoder: &mut LatencyEncoder) -> Vec<ModelTelemetry> {
        let mut lists = self.lock();
        lists.versions.retain(|version| Arc::strong_count(version) > 1 || !version.meter.is_empty());
        let mut models = Vec::new();
        for version in &lists.versions {
            let routes = lists.served.get(&version.model).map(|served| (served.queued(), served.routes()));
            let is_routed = routes
                .as_ref()
                .is_some_and(|(_, routes)| routes.loaded().any(|routed| Arc::ptr_eq(routed, version)));
            if !is_routed && version.meter.is_empty() && version.meter.inflight() == 0 {
                continue;
            }
            // What waits for the model as a whole is told with the version that has the largest share.
            let queued =
                routes.filter(|(_, routes)| routes.principal().is_some_and(|one| Arc::ptr_eq(one, version)));
            let queued = queued.map_or(0, |(queued, _)| queued as u64);
            models.push(version.meter.take(&version.model, version.version, queued, encoder));
        }
        models
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{tiny_deployment, tiny_version};
    use crate::meter::Timing;
    use crate::served::RouteTable;

    #[test]
    fn the_last_counters_of_a_version_that_left_are_told() {
        let roster = Roster::default();
        let version = Arc::new(tiny_version(1));
        roster.loaded(&version);
        version.meter.counts().answered(3, Timing::default(), 0);
        drop(version);
        assert_eq!(roster.take_counters(&mut LatencyEncoder::default())[0].rows, 3);
        assert!(roster.take_counters(&mut LatencyEncoder::default()).is_empty());
        assert_eq!(roster.versions(), 0);
    }

    #[test]
    fn a_served_version_is_told_even_when_nothing_happened() {
        let roster = Roster::default();
        let versions = vec![Arc::new(tiny_version(1))];
        let table = RouteTable::new(&tiny_deployment(&versions, &[100]), versions.clone());
        let served = Arc::new(ServedModel::new("tiny".parse().unwrap(), table));
        roster.loaded(&versions[0]);
        roster.serves(&served);
        assert!(served.admit(&served.routes().limits, 0));
        let told = roster.take_counters(&mut LatencyEncoder::default());
        assert_eq!((told.len(), told[0].requests, told[0].queued), (1, 0, 1));
    }
}
