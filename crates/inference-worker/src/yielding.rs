//! Threads whose work can wait let those go first who answer requests.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests flow as long as the last one came no longer ago.
const FLOW: Duration = Duration::from_millis(100);

/// A slice of work that can wait is at least so long, so that rests, which last some 50 µs longer than they should, do not count.
const SLICE_MIN: Duration = Duration::from_micros(100);
/// A rest is so many times as long as the slice before, and no longer than the longest.
const REST_PER_SLICE: u32 = 3;
/// See `REST_PER_SLICE`.
const REST_MAX: Duration = Duration::from_millis(10);

/// Lowers the priority of the calling thread by so many steps, 19 at most. Where that cannot be done for one thread alone, or is
/// not allowed, the thread goes on as before.
pub(crate) fn yield_to_others(steps: i32) {
    // On Linux every thread has a priority of its own; elsewhere this would slow down the whole process.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::nice(steps)
    {
        tracing::debug!(%error, "a background thread keeps the usual priority");
    }
}

/// When requests came last, to whatever model.
#[derive(Debug)]
pub(crate) struct Traffic {
    begun: Instant,
    last_ns: AtomicU64,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), last_ns: AtomicU64::new(0) }
    }

    /// Says that requests came.
    pub(crate) fn came(&self, at: Instant) {
        self.last_ns.store(self.ns(at), Ordering::Relaxed);
    }

    /// Whether requests come at the moment.
    pub(crate) fn is_flowing(&self) -> bool {
        self.is_flowing_at(Instant::now())
    }

    fn is_flowing_at(&self, now: Instant) -> bool {
        let last_ns = self.last_ns.load(Ordering::Relaxed);
        last_ns > 0 && u128::from(self.ns(now).saturating_sub(last_ns)) <= FLOW.as_nanos()
    }

    fn ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Work that can wait, cut into slices. While requests flow there is a rest after each: a lower priority alone would not do, since an
/// operating system may leave a processor to a thread for milliseconds before it looks who else wants it.
pub(crate) struct Slices<'a> {
    traffic: &'a Traffic,
    begun: Cell<Instant>,
}

impl<'a> Slices<'a> {
    /// The first slice begins.
    pub(crate) fn begin(traffic: &'a Traffic) -> Self {
        Self { traffic, begun: Cell::new(Instant::now()) }
    }

    /// Ends a slice, when it is long enough, and begins the next one.
    pub(crate) fn pause(&self) {
        let worked = self.begun.get().elapsed();
        if worked < SLICE_MIN {
            return;
        }
        if self.traffic.is_flowing() {
            std::thread::sleep((worked * REST_PER_SLICE).min(REST_MAX));
        } else {
            std::thread::yield_now();
        }
        self.begun.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_flow_for_a_while_after_the_last_one() {
        let traffic = Traffic::new();
        let at = traffic.begun + Duration::from_secs(5);
        assert!(!traffic.is_flowing_at(traffic.begun) && !traffic.is_flowing_at(at));
        traffic.came(at);
        assert!(traffic.is_flowing_at(at) && traffic.is_flowing_at(at + FLOW));
        assert!(!traffic.is_flowing_at(at + FLOW + Duration::from_nanos(1)));
    }
}
