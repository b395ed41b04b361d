//! Counters of one window of time, and the rates they give.

use std::time::Duration;

/// What was served in one window. Windows of several workers add up to the window of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThroughputWindow {
    /// Requests answered, with success or not.
    pub requests: u64,
    /// Rows inferred.
    pub rows: u64,
    /// Batches that those rows ran in.
    pub batches: u64,
}

impl ThroughputWindow {
    /// Adds another window; sums stop at the largest number instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.rows = self.rows.saturating_add(other.rows);
        self.batches = self.batches.saturating_add(other.batches);
    }

    /// Requests a second over a window of this length; none when the length is zero.
    pub fn requests_per_second(&self, window: Duration) -> Option<f64> {
        (!window.is_zero()).then(|| self.requests as f64 / window.as_secs_f64())
    }

    /// Rows in a batch on average; none when no batch ran.
    pub fn batch_size_mean(&self) -> Option<f64> {
        (self.batches > 0).then(|| self.rows as f64 / self.batches as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_every_counter_and_stops_at_the_largest_number() {
        let mut sum = ThroughputWindow { requests: 10, rows: 40, batches: 5 };
        sum.merge(&ThroughputWindow { requests: 5, rows: 5, batches: 5 });
        assert_eq!(sum, ThroughputWindow { requests: 15, rows: 45, batches: 10 });
        sum.merge(&ThroughputWindow { requests: u64::MAX, rows: 1, batches: 1 });
        assert_eq!(sum, ThroughputWindow { requests: u64::MAX, rows: 46, batches: 11 });
    }

    #[test]
    fn rates_follow_from_the_counters() {
        let sum = ThroughputWindow { requests: 30, rows: 120, batches: 40 };
        assert_eq!(sum.requests_per_second(Duration::from_secs(5)), Some(6.0));
        assert_eq!(sum.batch_size_mean(), Some(3.0));
    }

    #[test]
    fn an_empty_window_has_no_ratios() {
        let empty = ThroughputWindow::default();
        assert_eq!(empty.requests_per_second(Duration::from_secs(1)), Some(0.0));
        assert_eq!(empty.requests_per_second(Duration::ZERO), None);
        assert_eq!(empty.batch_size_mean(), None);
    }
}
