//! What waits and is worked on, as it was at one moment.

use leat_contract::Priority;

use super::LANES;

/// How long threads will be busy with what is there, by priority, in nanoseconds of one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    in_work_ns: u64,
    /// How many wait for a thread.
    lanes: [usize; LANES],
    lanes_ns: [u64; LANES],
    /// How many wait for something else.
    parked: [usize; LANES],
}

impl Backlog {
    pub(super) fn new(in_work_ns: u64, lanes: [(usize, u64); LANES], parked: [usize; LANES]) -> Self {
        let (lanes, lanes_ns) = (lanes.map(|(waiting, _)| waiting), lanes.map(|(_, ns)| ns));
        Self { in_work_ns, lanes, lanes_ns, parked }
    }

    /// How many wait for a thread.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.iter().sum()
    }

    /// Whether something waits that is less urgent.
    pub(crate) fn has_less_urgent(&self, than: Priority) -> bool {
        let by_priority = self.lanes.iter().zip(&self.parked);
        by_priority.skip(than as usize + 1).any(|(waiting, parked)| waiting + parked > 0)
    }

    /// How long those work that must be done before a request of this priority begins.
    pub(crate) fn before(&self, priority: Priority) -> u64 {
        let lanes = self.lanes_ns.iter().take(priority as usize + 1);
        lanes.fold(self.in_work_ns, |sum, lane| sum.saturating_add(*lane))
    }

    /// Counts one more.
    pub(crate) fn add(&mut self, priority: Priority, cost_ns: u64) {
        let lane = priority as usize;
        if let (Some(waiting), Some(ns)) = (self.lanes.get_mut(lane), self.lanes_ns.get_mut(lane)) {
            *waiting += 1;
            *ns = ns.saturating_add(cost_ns);
        }
    }
}
