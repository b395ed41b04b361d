//! What this worker has loaded, as the lease and the probes say it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use leat_contract::{Deployment, ErrorDetail, LoadState, LoadedVersion, ModelName, Route};
use leat_service_runtime::Readiness;
use tokio::sync::Notify;

/// The state of every deployed model. Whoever changes it wakes the lease.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Notify,
    readiness: Readiness,
}

#[derive(Debug, Default)]
struct State {
    models: BTreeMap<ModelName, ModelState>,
    /// Whether everything that was deployed when the worker started is known.
    is_complete: bool,
}

#[derive(Debug, Default, Clone)]
struct ModelState {
    /// The revision of the deployment that is in force.
    revision: Option<u64>,
    serving: Vec<LoadedVersion>,
    /// Versions of a newer deployment that are not in force yet.
    coming: Vec<LoadedVersion>,
}

impl ModelState {
    fn serve(&mut self, deployment: &Deployment) {
        let routes = deployment.versions();
        self.serving = routes.map(|route| entry(deployment, &route, LoadState::Ready, None)).collect();
    }

    fn fail(&mut self, deployment: &Deployment, failures: Vec<(Route, ErrorDetail)>) {
        let failed = failures.into_iter();
        self.coming =
            failed.map(|(route, error)| entry(deployment, &route, LoadState::Failed, Some(error))).collect();
    }
}

impl Board {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), readiness }
    }

    /// A deployment is being loaded.
    pub(crate) fn loading(&self, deployment: &Deployment) {
        self.change(&deployment.model, |model| {
            let is_of = |loaded: &LoadedVersion, route: &Route| {
                loaded.version == route.version && loaded.digest == route.digest
            };
            let before = std::mem::take(&mut model.coming);
            let routes = deployment.versions();
            let coming = routes.filter(|route| !model.serving.iter().any(|loaded| is_of(loaded, route)));
            // One that failed is called that until it is ready, although it is tried again in between.
            let failed = |route: &Route| before.iter().find(|loaded| is_of(loaded, route)).cloned();
            let state = |route: Route| {
                failed(&route).unwrap_or_else(|| entry(deployment, &route, LoadState::Loading, None))
            };
            model.coming = coming.map(state).collect();
        });
    }

    /// A deployment is in force.
    pub(crate) fn ready(&self, deployment: &Deployment, revision: u64) {
        self.change(&deployment.model, |model| {
            model.serve(deployment);
            model.coming.clear();
            model.revision = Some(revision);
        });
    }

    /// A part of a deployment is in force, because the rest cannot be loaded.
    pub(crate) fn partly_ready(&self, part: &Deployment, failures: Vec<(Route, ErrorDetail)>) {
        self.change(&part.model, |model| {
            model.serve(part);
            model.fail(part, failures);
            model.revision = None;
        });
    }

    /// A deployment cannot be put in force because of some versions; what served before still serves.
    pub(crate) fn failed(&self, deployment: &Deployment, failures: Vec<(Route, ErrorDetail)>) {
        self.change(&deployment.model, |model| model.fail(deployment, failures));
    }

    /// A model is served no more.
    pub(crate) fn removed(&self, model: &ModelName) {
        let mut state = self.lock();
        state.models.remove(model);
        self.judge(&state);
        drop(state);
        self.changed.notify_one();
    }

    /// Everything that was deployed at the start is known. Once it is settled, the worker is ready.
    pub(crate) fn complete(&self) {
        let mut state = self.lock();
        state.is_complete = true;
        self.judge(&state);
    }

    /// Waits until something changed since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What the lease says: all versions, and the revision in force for each model.
    pub(crate) fn snapshot(&self) -> (Vec<LoadedVersion>, BTreeMap<ModelName, u64>) {
        let state = self.lock();
        let versions = state.models.values().flat_map(|model| model.serving.iter().chain(&model.coming));
        let revisions = state.models.iter().filter_map(|(name, model)| Some((name.clone(), model.revision?)));
        (versions.cloned().collect(), revisions.collect())
    }

    fn change(&self, model: &ModelName, change: impl FnOnce(&mut ModelState)) {
        let mut state = self.lock();
        change(state.models.entry(model.clone()).or_default());
        self.judge(&state);
        drop(state);
        self.changed.notify_one();
    }

    /// A version that fails does not keep the worker from serving others; one that loads for the first time does.
    fn judge(&self, state: &State) {
        let is_first_load = |model: &ModelState| {
            model.revision.is_none() && model.coming.iter().any(|loaded| loaded.state == LoadState::Loading)
        };
        if state.is_complete && !state.models.values().any(is_first_load) {
            self.readiness.set_ready();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(
    deployment: &Deployment,
    route: &Route,
    state: LoadState,
    error: Option<ErrorDetail>,
) -> LoadedVersion {
    let (model, version, digest) = (deployment.model.clone(), route.version, route.digest.clone());
    LoadedVersion { model, version, digest, state, error }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leat_contract::ErrorCode;

    use super::*;
    use crate::loaded::tests::{tiny_deployment, tiny_version};

    fn damaged(deployment: &Deployment) -> Vec<(Route, ErrorDetail)> {
        let damaged = || ErrorDetail::new(ErrorCode::Internal, "damaged");
        deployment.versions().map(|route| (route, damaged())).collect()
    }

    fn states(board: &Board) -> Vec<(u32, LoadState)> {
        board.snapshot().0.iter().map(|loaded| (loaded.version.get(), loaded.state)).collect()
    }

    #[test]
    fn a_version_that_fails_stands_beside_the_one_that_still_serves() {
        let board = Board::new(Readiness::default());
        let versions = [Arc::new(tiny_version(1)), Arc::new(tiny_version(2))];
        let first = tiny_deployment(&versions[..1], &[100]);
        let second = tiny_deployment(&versions[1..], &[100]);
        board.ready(&first, 7);
        board.loading(&second);
        assert_eq!(states(&board), [(1, LoadState::Ready), (2, LoadState::Loading)]);
        board.failed(&second, damaged(&second));
        assert_eq!(states(&board), [(1, LoadState::Ready), (2, LoadState::Failed)]);
        assert_eq!(board.snapshot().1.values().copied().collect::<Vec<_>>(), [7]);
        board.removed(&first.model);
        assert!(states(&board).is_empty());
    }

    #[test]
    fn the_worker_is_ready_when_everything_deployed_is_settled() {
        let readiness = Readiness::default();
        let board = Board::new(readiness.clone());
        let deployment = tiny_deployment(&[Arc::new(tiny_version(1))], &[100]);
        board.loading(&deployment);
        board.complete();
        assert!(!readiness.is_ready());
        board.failed(&deployment, damaged(&deployment));
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_model_that_is_undeployed_while_it_loads_no_longer_keeps_the_worker_from_being_ready() {
        let readiness = Readiness::default();
        let board = Board::new(readiness.clone());
        let deployment = tiny_deployment(&[Arc::new(tiny_version(1))], &[100]);
        board.loading(&deployment);
        board.complete();
        assert!(!readiness.is_ready());
        board.removed(&deployment.model);
        assert!(readiness.is_ready());
    }
}
