//! How fast a model's requests are answered at the moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How much of what was learned counts after one more batch.
const MEMORY: f64 = 15.0 / 16.0;
/// Batches must differ this much in size, as a share of their mean size, before what is the same for each is told from what grows with
/// them: variance over squared mean.
const SPREAD_MIN: f64 = 0.01;
/// Where many requests wait, at least so many share a batch.
const SHARERS: u64 = 16;
/// Where others wait for it, a request that exceeds the latest batches by a larger factor counts as if it exceeded them by this one. By
/// what a small batch took once, a large request would seem to take forever, and all behind it would be refused.
const REACH: f64 = 16.0;

/// How long batches of a model keep a thread busy: `fixed + per byte · bytes`, by least squares over the latest batches, of which older
/// ones count less and less. Bytes, because a request's rows are known only once it is read, and its bytes go with them.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    sums: Mutex<Sums>,
    fixed_ns: AtomicU64,
    picoseconds_per_byte: AtomicU64,
    /// Up to how many bytes the line is followed for what a request makes others wait.
    bytes_known: AtomicU64,
    /// Of the latest batches.
    bytes_per_row: AtomicU64,
}

/// Weighted sums over batches: of `1`, bytes `x`, nanoseconds `y` and their products.
#[derive(Debug, Default)]
struct Sums {
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    /// The bytes of the largest batch, forgotten as the sums are.
    largest: f64,
}

impl Pace {
    /// Learns from a batch of so many bytes.
    pub(crate) fn took(&self, elapsed: Duration, bytes: usize) {
        let (x, y) = (bytes.max(1) as f64, elapsed.as_nanos() as f64);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.add(x, y);
        let (fixed_ns, ns_per_byte) = sums.line();
        let bytes_known = sums.largest * REACH;
        drop(sums);
        self.bytes_known.store(bytes_known as u64, Ordering::Relaxed);
        self.fixed_ns.store(fixed_ns as u64, Ordering::Relaxed);
        self.picoseconds_per_byte.store(((ns_per_byte * 1000.0) as u64).max(1), Ordering::Relaxed);
    }

    /// Learns how many rows the requests of a batch had.
    pub(crate) fn had(&self, rows: usize, bytes: usize) {
        let (latest, before) = ((bytes / rows.max(1)) as u64, self.bytes_per_row.load(Ordering::Relaxed));
        let known = if before == 0 { latest } else { (before * 15 + latest) / 16 };
        self.bytes_per_row.store(known.max(1), Ordering::Relaxed);
    }

    /// How many rows requests of so many bytes have, about, at least one for each; they are known only once a request is read.
    pub(crate) fn rows(&self, requests: usize, bytes: usize) -> usize {
        let bytes_per_row = usize::try_from(self.bytes_per_row.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        bytes.checked_div(bytes_per_row).unwrap_or(0).max(requests)
    }

    /// How much longer one request of so many bytes makes others wait when many do, about; 0 before the first batch.
    pub(crate) fn cost_ns(&self, bytes: usize) -> u64 {
        let fixed_ns = self.fixed_ns.load(Ordering::Relaxed);
        let bytes = (bytes as u64).min(self.bytes_known.load(Ordering::Relaxed));
        self.growing_ns(bytes).saturating_add(fixed_ns / SHARERS)
    }

    /// How long a batch of so many bytes takes, about; none before the first one.
    pub(crate) fn batch_ns(&self, bytes: usize) -> Option<u64> {
        let is_known = self.picoseconds_per_byte.load(Ordering::Relaxed) > 0;
        is_known.then(|| self.growing_ns(bytes as u64).saturating_add(self.fixed_ns.load(Ordering::Relaxed)))
    }

    fn growing_ns(&self, bytes: u64) -> u64 {
        self.picoseconds_per_byte.load(Ordering::Relaxed).saturating_mul(bytes) / 1000
    }
}

impl Sums {
    fn add(&mut self, x: f64, y: f64) {
        let Self { weight, x: sum_x, y: sum_y, xx, xy, largest } = self;
        for (sum, value) in [(weight, 1.0), (sum_x, x), (sum_y, y), (xx, x * x), (xy, x * y)] {
            *sum = *sum * MEMORY + value;
        }
        *largest = x.max(*largest * MEMORY);
    }

    /// The fixed part and what each byte adds, neither below zero. What cannot be told apart goes with the bytes.
    fn line(&self) -> (f64, f64) {
        let (mean_x, mean_y) = (self.x / self.weight, self.y / self.weight);
        let variance = self.xx / self.weight - mean_x * mean_x;
        if variance <= SPREAD_MIN * mean_x * mean_x {
            return (0.0, mean_y / mean_x);
        }
        let slope = (self.xy / self.weight - mean_x * mean_y) / variance;
        let slope = slope.clamp(0.0, mean_y / mean_x);
        (mean_y - slope * mean_x, slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_guessed_by_bytes_and_are_no_fewer_than_requests() {
        let pace = Pace::default();
        assert_eq!(pace.rows(3, 3000), 3, "nothing is known");
        pace.had(8, 800);
        assert_eq!((pace.rows(3, 3000), pace.rows(3, 90)), (30, 3));
        (0..100).for_each(|_| pace.had(1, 1000));
        assert_eq!(pace.rows(3, 3000), 3);
        pace.had(0, 0);
        assert_eq!(pace.rows(3, 3000), 3, "a batch of nothing tells nothing that divides by it");
    }

    #[test]
    fn follows_what_requests_take_and_evens_out_single_ones() {
        let pace = Pace::default();
        assert_eq!((pace.cost_ns(100), pace.batch_ns(100)), (0, None));
        pace.took(Duration::from_millis(10), 1000);
        assert_eq!((pace.cost_ns(100), pace.batch_ns(100)), (1_000_000, Some(1_000_000)));
        pace.took(Duration::from_millis(90), 1000);
        assert!((4_000_000..6_000_000).contains(&pace.cost_ns(100)), "{}", pace.cost_ns(100));
        (0..200).for_each(|_| pace.took(Duration::from_micros(10), 1000));
        assert!(pace.cost_ns(100) < 2_000, "{}", pace.cost_ns(100));
    }

    #[test]
    fn what_every_batch_costs_is_told_from_what_its_requests_cost() {
        let pace = Pace::default();
        let took = |requests: u64| Duration::from_micros(4000 + 200 * requests);
        for requests in [1, 1, 1, 40, 1, 64, 8] {
            pace.took(took(requests), requests as usize * 1000);
        }
        let alone = pace.batch_ns(1000).unwrap();
        assert!((4_100_000..4_300_000).contains(&alone), "{alone}");
        let many = 64 * pace.cost_ns(1000);
        assert!((12_000_000..40_000_000).contains(&many), "{many}");
    }

    #[test]
    fn what_a_large_request_costs_is_not_judged_by_small_ones_alone() {
        let pace = Pace::default();
        pace.took(Duration::from_millis(10), 1000);
        assert_eq!(pace.cost_ns(1_000_000), 160_000_000);
        // Whether it is cheap enough to be answered at once is another question: there the worst is believed.
        assert_eq!(pace.batch_ns(1_000_000), Some(10_000_000_000));
        pace.took(Duration::from_millis(100), 1_000_000);
        assert!((90_000_000..110_000_000).contains(&pace.cost_ns(1_000_000)), "{}", pace.cost_ns(1_000_000));
        (0..400).for_each(|_| pace.took(Duration::from_millis(10), 1000));
        let again = pace.cost_ns(1_000_000);
        assert!((159_000_000..161_000_000).contains(&again), "{again}");
    }

    #[test]
    fn a_batch_that_took_no_time_is_known_all_the_same() {
        let pace = Pace::default();
        pace.took(Duration::ZERO, 0);
        assert_eq!(pace.batch_ns(0), Some(0));
    }
}
