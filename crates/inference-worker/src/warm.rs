//! Versions that no route names any more, kept for a while so that moving routes to and fro does not load again.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::loaded::{LoadedVersion, Meant};

/// The versions that left last, the oldest first.
#[derive(Debug)]
pub(crate) struct WarmVersions {
    versions: VecDeque<Arc<LoadedVersion>>,
    count_max: usize,
}

impl WarmVersions {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { versions: VecDeque::with_capacity(count_max), count_max }
    }

    /// Keeps a version as the newest; the oldest goes when there are too many.
    pub(crate) fn keep(&mut self, version: Arc<LoadedVersion>) {
        self.forget(&version);
        self.versions.push_back(version);
        while self.versions.len() > self.count_max {
            self.versions.pop_front();
        }
    }

    /// The version that a route means, if it is still here.
    pub(crate) fn get(&self, meant: &Meant) -> Option<Arc<LoadedVersion>> {
        self.versions.iter().find(|version| version.is(meant)).cloned()
    }

    /// Keeps a version no longer, because a route names it again.
    pub(crate) fn forget(&mut self, version: &Arc<LoadedVersion>) {
        self.versions.retain(|kept| !Arc::ptr_eq(kept, version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::tiny_version;

    #[test]
    fn gives_back_the_same_version_until_newer_ones_push_it_out() {
        let mut warm = WarmVersions::new(2);
        let versions: Vec<_> = (1..=3).map(|number| Arc::new(tiny_version(number))).collect();
        versions.iter().for_each(|version| warm.keep(version.clone()));
        assert!(warm.get(&versions[0].meant()).is_none());
        let again = warm.get(&versions[2].meant()).unwrap();
        assert!(Arc::ptr_eq(&again, &versions[2]));
        warm.forget(&again);
        assert!(warm.get(&versions[2].meant()).is_none());
        assert!(warm.get(&versions[1].meant()).is_some());
    }

    #[test]
    fn another_blob_under_the_same_number_is_another_version() {
        let mut warm = WarmVersions::new(2);
        let version = Arc::new(tiny_version(1));
        warm.keep(version.clone());
        let digest = format!("sha256-{}", "0".repeat(64)).parse().unwrap();
        let mut meant = version.meant();
        meant.route.digest = digest;
        assert!(warm.get(&meant).is_none());
    }
}
