//! Whether a canary did well, did badly, or has not shown yet: pure counts, no clock, no broker.
//!
//! It is rolled back as soon as it is shown to be worse than the others by more than its policy allows, and promoted when after
//! the time and the requests of its policy nothing speaks against it. One that no worker can load for a minute is rolled back too. All of
//! this needs some windows in a row. What is counted begins anew with every change of the deployment and with every start of the monitor;
//! the time of its policy does not.

mod runs;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use leat_contract::{Deployment, ModelName, ModelVersion, RolloutEnd, WorkerId};

pub(crate) use trial::Scored;
use trial::Trial;

use crate::report::VersionReport;

/// The canaries that are being judged.
#[derive(Debug)]
pub(crate) struct Canaries {
    trials: BTreeMap<ModelName, Trial>,
    /// Windows in a row that must say the same.
    windows: u32,
}

/// The end of a canary: to be written if the deployment has still the same revision.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) deployment: Deployment,
    pub(crate) revision: u64,
    pub(crate) version: ModelVersion,
    pub(crate) end: RolloutEnd,
    pub(crate) requests: u64,
    pub(crate) reason: String,
}

impl Canaries {
    pub(crate) fn new(windows: u32) -> Self {
        Self { trials: BTreeMap::new(), windows: windows.max(1) }
    }

    /// Takes what a worker told of a version.
    pub(crate) fn hear(&mut self, worker: &WorkerId, report: &VersionReport<'_>) {
        if let Some(trial) = self.trials.get_mut(&report.told.model) {
            trial.hear(worker, report);
        }
    }

    /// Ends a window.
    pub(crate) fn close(&mut self) {
        self.trials.values_mut().for_each(Trial::close);
    }

    /// Judges by the windows until now. `deployments` come with their revisions; `scored` says how often a version was right of late,
    /// `unloadable` why no worker can load the canary of a model.
    pub(crate) fn judge<'desired>(
        &mut self,
        deployments: impl Iterator<Item = (&'desired Deployment, u64)>,
        scored: impl Fn(&ModelName, ModelVersion) -> Scored,
        unloadable: impl Fn(&ModelName) -> Option<&'desired str>,
        now: u64,
    ) -> Vec<Decision> {
        let mut present = BTreeSet::new();
        let mut decisions = Vec::new();
        for (deployment, revision) in deployments {
            let Some(canary) = &deployment.canary else { continue };
            present.insert(deployment.model.clone());
            let trial = self.trials.entry(deployment.model.clone());
            let trial = trial.or_insert_with(|| Trial::new(canary, deployment, revision));
            if trial.revision() != revision {
                *trial = Trial::new(canary, deployment, revision);
            }
            let accuracy = |version| scored(&deployment.model, version);
            let verdict = match unloadable(&deployment.model) {
                Some(why) => trial.unloadable(why, now),
                None => trial.judge(accuracy, now),
            };
            if let Some((end, reason)) = trial.settle(verdict, self.windows) {
                let (deployment, version) = (deployment.clone(), canary.version);
                let requests = trial.requests();
                decisions.push(Decision { deployment, revision, version, end, requests, reason });
            }
        }
        self.trials.retain(|model, _| present.contains(model));
        decisions
    }
}

#[cfg(test)]
mod tests;
