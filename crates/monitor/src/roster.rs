//! The versions that figures are kept of, bounded, so that no sender can fill the memory.

use std::collections::BTreeMap;

use leat_contract::{ModelName, ModelVersion, limits};

/// Versions of one model: the routes of a deployment and those before.
const VERSIONS_MAX: usize = 2 * limits::ROUTES_MAX;
/// A version that is not deployed is remembered this long after the last report on it.
const FORGET_AFTER_MS: u64 = 600_000;

/// When each version was last heard of.
#[derive(Debug)]
pub(crate) struct Roster {
    models: BTreeMap<ModelName, BTreeMap<ModelVersion, u64>>,
    models_max: usize,
}

impl Roster {
    pub(crate) fn new(models_max: usize) -> Self {
        Self { models: BTreeMap::new(), models_max }
    }

    /// A worker reports on a version; gives whether there is room for it.
    pub(crate) fn hear(&mut self, model: &ModelName, version: ModelVersion, now: u64) -> bool {
        if !self.models.contains_key(model) {
            if self.models.len() >= self.models_max {
                return false;
            }
            self.models.insert(model.clone(), BTreeMap::new());
        }
        let Some(versions) = self.models.get_mut(model) else { return false };
        let has_room = versions.len() < VERSIONS_MAX || versions.contains_key(&version);
        if has_room {
            versions.insert(version, now);
        }
        has_room
    }

    /// Forgets what was not heard of for long and is not deployed.
    pub(crate) fn forget(&mut self, is_deployed: impl Fn(&ModelName, ModelVersion) -> bool, now: u64) {
        self.models.retain(|model, versions| {
            versions.retain(|version, at| {
                now.saturating_sub(*at) <= FORGET_AFTER_MS || is_deployed(model, *version)
            });
            !versions.is_empty()
        });
    }

    pub(crate) fn contains(&self, model: &ModelName, version: ModelVersion) -> bool {
        self.models.get(model).is_some_and(|versions| versions.contains_key(&version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelName {
        name.parse().unwrap()
    }

    fn version(number: u32) -> ModelVersion {
        ModelVersion::new(number).unwrap()
    }

    #[test]
    fn models_and_their_versions_are_bounded() {
        let mut roster = Roster::new(2);
        assert!(roster.hear(&model("a"), version(1), 0) && roster.hear(&model("b"), version(1), 0));
        assert!(!roster.hear(&model("c"), version(1), 0));
        let admitted = (1..1_000).filter(|number| roster.hear(&model("a"), version(*number), 0)).count();
        assert_eq!(admitted, VERSIONS_MAX);
    }

    #[test]
    fn what_is_neither_deployed_nor_heard_of_is_forgotten() {
        let mut roster = Roster::new(1);
        roster.hear(&model("a"), version(1), 0);
        roster.hear(&model("a"), version(2), 0);
        roster.forget(|_, deployed| deployed == version(2), FORGET_AFTER_MS + 1);
        assert!(!roster.contains(&model("a"), version(1)) && roster.contains(&model("a"), version(2)));
        roster.forget(|_, _| false, FORGET_AFTER_MS + 1);
        assert!(roster.hear(&model("b"), version(1), 0));
    }
}
