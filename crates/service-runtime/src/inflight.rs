//! How much accepted work is not answered yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts accepted work that is not answered yet. A cheap handle on one count.
#[derive(Debug, Clone, Default)]
pub struct Inflight {
    count: Arc<AtomicU64>,
}

/// One piece of work in flight; dropping it says that it was answered.
#[derive(Debug)]
pub struct InflightGuard {
    count: Arc<AtomicU64>,
}

impl Inflight {
    /// Counts one piece of work until the guard is dropped.
    pub fn enter(&self) -> InflightGuard {
        self.count.fetch_add(1, Ordering::Relaxed);
        InflightGuard { count: self.count.clone() }
    }

    /// Work in flight now.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for InflightGuard {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts_until_its_guard_is_dropped() {
        let inflight = Inflight::default();
        let (one, two) = (inflight.enter(), inflight.clone().enter());
        assert_eq!(inflight.count(), 2);
        drop(one);
        assert_eq!(inflight.count(), 1);
        drop(two);
        assert_eq!(inflight.count(), 0);
    }
}
