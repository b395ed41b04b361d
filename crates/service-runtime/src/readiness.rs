//! Whether the service takes work, and if not, why.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;

/// The condition that a service itself sets; the others belong to the runtime.
const SERVICE: &str = "service";

/// Whether the service takes work. It does when nothing stands in the way; every obstacle has a name and a reason.
/// A cheap handle: clones share one state. A new one waits for [`Readiness::set_ready`].
#[derive(Debug, Clone)]
pub struct Readiness {
    obstacles: watch::Sender<BTreeMap<String, String>>,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// True when the service takes work.
    pub ready: bool,
    /// What stands in the way, by name.
    pub reasons: BTreeMap<String, String>,
}

impl Readiness {
    /// The service says that it takes work.
    pub fn set_ready(&self) {
        self.clear(SERVICE);
    }

    /// The service says why it does not take work.
    pub fn set_not_ready(&self, reason: impl Into<String>) {
        self.block(SERVICE, reason);
    }

    /// Puts an obstacle in the way, or gives it another reason.
    pub fn block(&self, obstacle: &str, reason: impl Into<String>) {
        let reason = reason.into();
        self.obstacles.send_if_modified(|obstacles| {
            let before = obstacles.insert(obstacle.to_owned(), reason.clone());
            before.is_none_or(|before| before != reason)
        });
    }

    /// Takes an obstacle away.
    pub fn clear(&self, obstacle: &str) {
        self.obstacles.send_if_modified(|obstacles| obstacles.remove(obstacle).is_some());
    }

    /// True when nothing stands in the way.
    pub fn is_ready(&self) -> bool {
        self.obstacles.borrow().is_empty()
    }

    /// Gives the state with its reasons.
    pub fn report(&self) -> ReadinessReport {
        let reasons = self.obstacles.borrow().clone();
        ReadinessReport { ready: reasons.is_empty(), reasons }
    }

    /// Waits until readiness is as given.
    pub async fn wait(&self, ready: bool) {
        let mut obstacles = self.obstacles.subscribe();
        let reached = obstacles.wait_for(|obstacles| obstacles.is_empty() == ready).await;
        assert!(reached.is_ok(), "self holds the sender, so it cannot be gone");
    }
}

impl Default for Readiness {
    fn default() -> Self {
        let starting = BTreeMap::from([(SERVICE.to_owned(), "starting".to_owned())]);
        Self { obstacles: watch::Sender::new(starting) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_not_ready_until_it_says_so() {
        let readiness = Readiness::default();
        assert_eq!(readiness.report().reasons["service"], "starting");
        readiness.set_ready();
        assert_eq!(readiness.report(), ReadinessReport { ready: true, reasons: BTreeMap::new() });
    }

    #[test]
    fn every_obstacle_must_go() {
        let readiness = Readiness::default();
        readiness.block("connection ingest", "disconnected");
        readiness.set_ready();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.report().reasons.len(), 1);
        readiness.clear("connection ingest");
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_state_is_reached() {
        let readiness = Readiness::default();
        readiness.wait(false).await;
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.wait(true).await }
        });
        readiness.set_not_ready("loading digits@3");
        readiness.set_ready();
        waiting.await.unwrap();
    }
}
