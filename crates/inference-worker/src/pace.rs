//! How fast a model's requests are answered at the moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A moving average of the time that requests of a model keep a compute thread busy, for each byte of them: a request's rows
/// are known only once it is read, but its bytes go with them.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    picoseconds_per_byte: AtomicU64,
}

impl Pace {
    /// Takes a batch of requests of so many bytes into the average.
    pub(crate) fn took(&self, elapsed: Duration, bytes: usize) {
        let picoseconds = elapsed.as_nanos().saturating_mul(1000) / (bytes as u128).max(1);
        let now = u64::try_from(picoseconds).unwrap_or(u64::MAX);
        let before = self.picoseconds_per_byte.load(Ordering::Relaxed);
        let average = if before == 0 { now } else { before - before / 8 + now / 8 };
        self.picoseconds_per_byte.store(average, Ordering::Relaxed);
    }

    /// How long a request of so many bytes will take, about; 0 before the first batch.
    pub(crate) fn cost_ns(&self, bytes: usize) -> u64 {
        self.picoseconds_per_byte.load(Ordering::Relaxed).saturating_mul(bytes as u64) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_requests_take_and_evens_out_single_ones() {
        let pace = Pace::default();
        assert_eq!(pace.cost_ns(100), 0);
        pace.took(Duration::from_millis(10), 1000);
        assert_eq!(pace.cost_ns(100), 1_000_000);
        pace.took(Duration::from_millis(90), 1000);
        assert_eq!(pace.cost_ns(100), 2_000_000);
        (0..100).for_each(|_| pace.took(Duration::from_micros(10), 100));
        assert!(pace.cost_ns(100) < 11_000, "{}", pace.cost_ns(100));
    }
}
