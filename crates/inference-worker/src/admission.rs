//! Whether a request may wait, decided before any work is done for it.

use std::sync::Arc;
use std::time::Duration;

use leat_contract::Priority;

use crate::Error;
use crate::queue::Backlog;
use crate::served::QueueLimits;
use crate::shared::Shared;
use crate::work::Work;

/// No caller is asked to wait longer than this before it tries again.
const RETRY_MAX_MS: u64 = 1000;

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Requests of the model, or their bytes.
    Model,
    /// Work that comes first.
    Time,
    /// Requests of the worker, or their bytes.
    Worker,
}

impl Full {
    /// Every reason.
    pub(crate) const ALL: [Self; 3] = [Self::Model, Self::Time, Self::Worker];

    /// What belongs to this reason among what belongs to each.
    pub(crate) fn of<T>(self, all: &mut [T; Self::ALL.len()]) -> &mut T {
        let [model, time, worker] = all;
        match self {
            Self::Model => model,
            Self::Time => time,
            Self::Worker => worker,
        }
    }
}

/// Takes a place in the queue of the request's model, or says why there is none. `backlog` is what comes before.
pub(crate) fn judge(
    shared: &Shared,
    work: &Work,
    limits: &QueueLimits,
    backlog: &mut Backlog,
) -> Option<Full> {
    let priority = work.waiting.priority;
    let wait = wait(shared, backlog.before(priority));
    if work.waiting.is_too_long(wait, work.received) {
        return Some(Full::Time);
    }
    if !work.target.served.admit(limits, work.payload.len()) {
        return Some(Full::Model);
    }
    backlog.add(priority, work.waiting.cost_ns);
    None
}

/// Takes places in the queue of its model from less urgent requests for a request that found none; gives those that must go, or nothing when
/// that would not help. None need go when others have left meanwhile.
pub(crate) fn make_way(shared: &Shared, urgent: &Work, limits: &QueueLimits) -> Option<Vec<Work>> {
    let served = &urgent.target.served;
    let excess = served.excess(limits, urgent.payload.len());
    if excess.count == 0 && excess.bytes == 0 {
        return Some(Vec::new());
    }
    let is_meant = |work: &Work| Arc::ptr_eq(&work.target.served, served);
    let pushed_out = shared.queue.push_out(urgent.waiting.priority, excess, is_meant);
    pushed_out.iter().for_each(Work::leave_queue);
    (!pushed_out.is_empty()).then_some(pushed_out)
}

/// What those are told who were refused for a reason.
pub(crate) fn error(shared: &Shared, full: Full, limits: &QueueLimits, refused: &[Work]) -> Error {
    let least_urgent = refused.iter().map(|work| work.waiting.priority).max().unwrap_or_default();
    let wait = wait(shared, shared.queue.backlog().before(least_urgent));
    let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).clamp(1, RETRY_MAX_MS);
    // Not how many wait: that has changed by now.
    let reason = match full {
        Full::Model => format!(
            "the queue of this model on this worker is full, its limit is {} requests or {} bytes",
            limits.count_max, limits.bytes_max
        ),
        Full::Time => format!(
            "the request would wait for about {wait:?} in the queue, longer than it may or than half of the time to its deadline"
        ),
        Full::Worker => {
            let capacity = shared.queue.capacity();
            let (count, bytes) = (capacity.count, capacity.bytes);
            format!("the queue of this worker is full, its limit is {count} requests or {bytes} bytes")
        }
    };
    Error::Overloaded { reason, retry_after_ms }
}

/// How long it takes until all that is there now is done.
pub(crate) fn everything_takes(shared: &Shared) -> Duration {
    wait(shared, shared.queue.backlog().before(Priority::Low))
}

/// How long it takes all threads together to get through so much work of one.
fn wait(shared: &Shared, backlog_ns: u64) -> Duration {
    Duration::from_nanos(backlog_ns / (shared.settings.compute_threads as u64).max(1))
}
