//! How disturbed the processors are while processes of their own are measured.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::Error;
use crate::gauge::Gauge;

/// Short beside the moments in which somebody else is there or not, long beside a reading, so that what is measured loses less than a
/// hundredth of a processor.
const PAUSE: Duration = Duration::from_millis(5);

/// A thread that reads a gauge now and then, until this is dropped.
pub(crate) struct Watch {
    readings: Arc<Mutex<Readings>>,
}

#[derive(Debug, Default)]
struct Readings {
    all: u32,
    calm: u32,
}

/// The beginning of a time.
pub(crate) struct Begun {
    stolen_ms: u64,
}

/// How much the processors were disturbed in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Disturbance {
    /// How long the host ran somebody else instead of one of the processors, summed over them and in steps of 10 ms, where it says so
    /// (Linux).
    pub(crate) stolen_ms: u64,
    /// The share of the gauge's readings that took longer than they should: somebody else had a part of the core, or, more rarely, a
    /// process of ours had all of it.
    pub(crate) slow: f64,
}

impl Watch {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> Result<Self, Error> {
        let readings = Arc::new(Mutex::new(Readings::default()));
        let kept = Arc::downgrade(&readings);
        let mut gauge = Gauge::new();
        // All readings are measured against the same.
        let limit = gauge.limit();
        let read = move || {
            while let Some(readings) = kept.upgrade() {
                let is_calm = gauge.read() <= limit;
                locked(&readings).count(is_calm);
                drop(readings);
                std::thread::sleep(PAUSE);
            }
        };
        let started = std::thread::Builder::new().name("gauge".to_owned()).spawn(read);
        started.map_err(|cause| Error::Usage(format!("cannot start the gauge's thread: {cause}")))?;
        Ok(Self { readings })
    }

    /// Begins a time. There is one at a time.
    pub(crate) fn begin(&self) -> Begun {
        *locked(&self.readings) = Readings::default();
        Begun { stolen_ms: stolen_ms() }
    }

    /// What happened since then.
    pub(crate) fn since(&self, begun: &Begun) -> Disturbance {
        let stolen_ms = stolen_ms().saturating_sub(begun.stolen_ms);
        let Readings { all, calm } = *locked(&self.readings);
        Disturbance { stolen_ms, slow: 1.0 - f64::from(calm) / f64::from(all.max(1)) }
    }
}

impl Disturbance {
    /// The less disturbed one first. Time that is stolen counts first: milliseconds of it decide what the slowest requests take.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.stolen_ms.cmp(&other.stolen_ms).then(self.slow.total_cmp(&other.slow))
    }

    /// The greater of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { stolen_ms: self.stolen_ms.max(other.stolen_ms), slow: self.slow.max(other.slow) }
    }
}

impl Readings {
    fn count(&mut self, is_calm: bool) {
        self.all += 1;
        self.calm += u32::from(is_calm);
    }
}

/// What was stolen from all processors since the system started.
fn stolen_ms() -> u64 {
    #[cfg(target_os = "linux")]
    {
        use procfs::CurrentSI;
        let ticks = procfs::KernelStats::current().ok().and_then(|stats| stats.total.steal);
        ticks.unwrap_or_default() * 1000 / procfs::ticks_per_second().max(1)
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// Nobody panics while counting, and counts are whole at any time.
fn locked(readings: &Mutex<Readings>) -> MutexGuard<'_, Readings> {
    readings.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_counts_before_slow_readings() {
        let of = |stolen_ms, slow| Disturbance { stolen_ms, slow };
        let mut all = [of(10, 0.0), of(0, 0.9), of(0, 0.2)];
        all.sort_by(Disturbance::order);
        assert_eq!(all, [of(0, 0.2), of(0, 0.9), of(10, 0.0)]);
        assert_eq!(of(10, 0.0).and(of(0, 0.9)), of(10, 0.9));
    }

    #[test]
    fn a_time_has_readings_of_its_own() {
        // Without the thread.
        let watch = Watch { readings: Arc::default() };
        let begun = watch.begin();
        for is_calm in [true, false, true, true] {
            locked(&watch.readings).count(is_calm);
        }
        assert_eq!(watch.since(&begun).slow, 0.25);
        let begun = watch.begin();
        locked(&watch.readings).count(true);
        assert_eq!(watch.since(&begun).slow, 0.0);
    }
}
