//! Threads whose work can wait let those go first who answer requests.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests flow as long as the last one came no longer ago.
const FLOW: Duration = Duration::from_millis(100);

/// A slice of work that can wait is at least so long: rests last some 50 µs longer than they should.
const SLICE_MIN: Duration = Duration::from_micros(100);
/// Whoever wants the processor at some moment, and may not have it before a slice ends, waits for so long on average, unless slices are
/// so long that the longest rest is too short for it.
const WAIT_MEAN: Duration = Duration::from_micros(5);
/// No rest is longer.
const REST_MAX: Duration = Duration::from_secs(1);
/// How long into a rest somebody may stop to need the processor before it ends.
const REST_PART: Duration = Duration::from_millis(20);

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

/// Work of the calling thread that can wait, cut into slices. There is a rest after each, as long as somebody is to be given way to: a lower
/// priority alone would not do, since an operating system may leave a processor to a thread for milliseconds before it looks who else
/// wants it.
pub(crate) struct Slices<G> {
    gives_way: G,
    /// What the thread had worked when the slice began.
    begun: Cell<Duration>,
}

impl<G: Fn() -> bool> Slices<G> {
    /// The first slice begins.
    pub(crate) fn begin(gives_way: G) -> Self {
        Self { gives_way, begun: Cell::new(worked()) }
    }

    /// Ends a slice, when it is long enough, and begins the next one.
    pub(crate) fn pause(&self) {
        let Some(rest) = rest_after(worked().saturating_sub(self.begun.get())) else { return };
        std::thread::yield_now();
        self.rest(rest);
        self.begun.set(worked());
    }

    /// Rests for so long, or until nobody has to be given way to any more.
    fn rest(&self, rest: Duration) {
        let begun = Instant::now();
        while let left = rest.saturating_sub(begun.elapsed())
            && !left.is_zero()
            && (self.gives_way)()
        {
            std::thread::sleep(left.min(REST_PART));
        }
    }
}

/// The rest that belongs to a slice; none when it is not long enough for one.
fn rest_after(slice: Duration) -> Option<Duration> {
    if slice < SLICE_MIN {
        return None;
    }
    // Of a slice and its rest, a share `slice / (slice + rest)` of all moments is in the slice, and waits for half of it on average.
    let both = slice.mul_f64(slice.div_duration_f64(2 * WAIT_MEAN));
    Some(both.saturating_sub(slice).min(REST_MAX))
}

/// How long the calling thread has had a processor.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
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

    #[test]
    fn rests_keep_the_mean_wait_up_to_the_longest() {
        let us = Duration::from_micros;
        assert_eq!(
            [us(0), us(99), us(100), us(400)].map(rest_after),
            [None, None, Some(us(900)), Some(us(15_600))]
        );
        assert_eq!(rest_after(Duration::from_secs(1)), Some(REST_MAX));
    }

    #[test]
    fn a_slice_is_what_the_thread_works_and_not_what_it_waits() {
        let asked = Cell::new(0);
        let slices = Slices::begin(|| {
            asked.set(asked.get() + 1);
            false
        });
        std::thread::sleep(10 * SLICE_MIN);
        slices.pause();
        assert_eq!(asked.get(), 0);
        let begun = worked();
        while worked() - begun < SLICE_MIN {}
        slices.pause();
        assert_eq!(asked.get(), 1);
    }
}
