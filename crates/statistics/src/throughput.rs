//! Counters of one window of time, and the rates they give.

use std::collections::BTreeMap;
use std::time::Duration;

/// What was served in one window. Windows of several workers add up to the window of all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThroughputWindow {
    /// Requests answered, with success or not.
    pub requests: u64,
    /// Rows inferred.
    pub rows: u64,
    /// Batches that those rows ran in.
    pub batches: u64,
    /// Requests that failed, by error code.
    pub errors: BTreeMap<u16, u64>,
}

impl ThroughputWindow {
    /// Adds another window; sums stop at the largest number instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.rows = self.rows.saturating_add(other.rows);
        self.batches = self.batches.saturating_add(other.batches);
        for (&code, &count) in &other.errors {
            self.add_errors(code, count);
        }
    }

    /// Counts failures of one code.
    pub fn add_errors(&mut self, code: u16, count: u64) {
        let present = self.errors.entry(code).or_default();
        *present = present.saturating_add(count);
    }

    /// Failures of every code together.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Share of requests that failed, 0 to 1; none when there were no requests.
    pub fn error_ratio(&self) -> Option<f64> {
        ratio(self.errors_total().min(self.requests), self.requests)
    }

    /// Requests a second over a window of this length; none when the length is zero.
    pub fn requests_per_second(&self, window: Duration) -> Option<f64> {
        (!window.is_zero()).then(|| self.requests as f64 / window.as_secs_f64())
    }

    /// Rows in a batch on average; none when no batch ran.
    pub fn batch_size_mean(&self) -> Option<f64> {
        ratio(self.rows, self.batches)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(requests: u64, rows: u64, batches: u64, errors: &[(u16, u64)]) -> ThroughputWindow {
        ThroughputWindow { requests, rows, batches, errors: errors.iter().copied().collect() }
    }

    #[test]
    fn merging_adds_every_counter_and_every_error_code() {
        let mut sum = window(10, 40, 5, &[(400, 1), (504, 2)]);
        sum.merge(&window(5, 5, 5, &[(504, 1), (429, 4)]));
        assert_eq!(sum, window(15, 45, 10, &[(400, 1), (429, 4), (504, 3)]));
        assert_eq!(sum.errors_total(), 8);
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let mut sum = window(u64::MAX, 1, 1, &[(500, u64::MAX)]);
        sum.merge(&window(1, 1, 1, &[(500, 1), (400, 1)]));
        assert_eq!(sum, window(u64::MAX, 2, 2, &[(400, 1), (500, u64::MAX)]));
        assert_eq!(sum.errors_total(), u64::MAX);
    }

    #[test]
    fn rates_follow_from_the_counters() {
        let sum = window(30, 120, 40, &[(400, 3)]);
        assert_eq!(sum.requests_per_second(Duration::from_secs(5)), Some(6.0));
        assert_eq!(sum.batch_size_mean(), Some(3.0));
        assert_eq!(sum.error_ratio(), Some(0.1));
    }

    #[test]
    fn an_empty_window_has_no_ratios() {
        let empty = ThroughputWindow::default();
        assert_eq!(empty.requests_per_second(Duration::from_secs(1)), Some(0.0));
        assert_eq!(empty.requests_per_second(Duration::ZERO), None);
        assert_eq!(empty.batch_size_mean(), None);
        assert_eq!(empty.error_ratio(), None);
    }
}
