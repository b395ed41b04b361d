//! How fast requests are answered at the moment, for those who ask when to come again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A moving average of the time that one request takes a compute thread.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    nanoseconds: AtomicU64,
}

/// A caller is never asked to wait longer than this.
const RETRY_MAX_MS: u64 = 1000;

impl Pace {
    /// Takes a batch into the average.
    pub(crate) fn took(&self, elapsed: Duration, requests: usize) {
        let now = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX) / (requests as u64).max(1);
        let before = self.nanoseconds.load(Ordering::Relaxed);
        let average = if before == 0 { now } else { before - before / 8 + now / 8 };
        self.nanoseconds.store(average, Ordering::Relaxed);
    }

    /// When so many requests will have been answered by so many threads, in milliseconds.
    pub(crate) fn retry_after_ms(&self, queued: usize, threads: usize) -> u64 {
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed).saturating_mul(queued as u64);
        (nanoseconds / (threads as u64).max(1) / 1_000_000).clamp(1, RETRY_MAX_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_the_queue_will_be_empty() {
        let pace = Pace::default();
        assert_eq!(pace.retry_after_ms(1024, 1), 1);
        pace.took(Duration::from_millis(10), 10);
        assert_eq!(pace.retry_after_ms(100, 1), 100);
        assert_eq!(pace.retry_after_ms(100, 2), 50);
        assert_eq!(pace.retry_after_ms(1_000_000, 2), RETRY_MAX_MS);
    }
}
