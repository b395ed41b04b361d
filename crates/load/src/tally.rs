//! What is counted while a step runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use leat_statistics::LatencyHistogram;

use crate::Failure;

/// The part of a step that counts: requests that should be sent in it, whenever their answers come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Window {
    pub(crate) fn contains(&self, moment: Instant) -> bool {
        (self.begin..self.end).contains(&moment)
    }
}

/// The moments of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// When it should have been sent; in a closed loop when it was.
    pub(crate) intended: Instant,
    pub(crate) sent: Instant,
    pub(crate) done: Instant,
}

/// Counts that many requesters add to.
#[derive(Debug)]
pub(crate) struct Tally {
    window: Window,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answered: u64,
    pub(crate) failed: BTreeMap<Failure, u64>,
    /// From the intended moment; of a request without an answer for as long as it was waited for.
    pub(crate) latency: LatencyHistogram,
    /// From the sending.
    pub(crate) service_time: LatencyHistogram,
    /// From the intended moment to the sending.
    pub(crate) send_lag: LatencyHistogram,
    pub(crate) last: Option<Instant>,
}

impl Tally {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, counts: Mutex::default() }
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn count(&self, moments: Moments, failure: Option<Failure>) {
        if !self.window.contains(moments.intended) {
            return;
        }
        let Moments { intended, sent, done } = moments;
        let mut counts = self.counts();
        counts.send_lag.record_duration(sent.saturating_duration_since(intended));
        let latency = done.saturating_duration_since(intended);
        if let Some(failure) = failure {
            if failure == Failure::Timeout {
                counts.latency.record_duration(latency);
            }
            *counts.failed.entry(failure).or_default() += 1;
            return;
        }
        counts.answered += 1;
        counts.last = counts.last.max(Some(done));
        counts.latency.record_duration(latency);
        counts.service_time.record_duration(done.saturating_duration_since(sent));
    }

    /// Counts a request for which nobody was free before the end: it would have waited at least until then.
    pub(crate) fn never_sent(&self, intended: Instant) {
        let waited = self.window.end.saturating_duration_since(intended);
        self.counts().latency.record_duration(waited);
    }

    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts())
    }

    /// A requester that panicked leaves counts that are still true.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn latency_counts_from_the_intended_moment_and_service_time_from_the_sending() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let tally = Tally::new(Window { begin, end: at(1000) });
        tally.count(Moments { intended: at(100), sent: at(400), done: at(410) }, None);
        tally.count(Moments { intended: at(200), sent: at(410), done: at(1500) }, Some(Failure::Timeout));
        let counts = tally.take();
        let max_ms = |histogram: &LatencyHistogram| histogram.max().map(|ns| ns / 1_000_000);
        // What did not come in time took at least as long as it was waited for.
        assert_eq!((counts.latency.count(), max_ms(&counts.latency)), (2, Some(1300)));
        assert_eq!(max_ms(&counts.service_time), Some(10));
        assert_eq!(max_ms(&counts.send_lag), Some(300));
        assert_eq!((counts.answered, counts.failed[&Failure::Timeout], counts.last), (1, 1, Some(at(410))));
    }

    #[test]
    fn what_was_never_sent_waited_until_the_end() {
        let begin = Instant::now();
        let tally = Tally::new(Window { begin, end: begin + Duration::from_secs(1) });
        tally.never_sent(begin + Duration::from_millis(300));
        let counts = tally.take();
        assert_eq!((counts.answered, counts.latency.max().map(|ns| ns / 1_000_000)), (0, Some(700)));
    }

    #[test]
    fn what_should_be_sent_outside_of_the_window_does_not_count() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let tally = Tally::new(Window { begin: at(100), end: at(200) });
        for intended in [0, 99, 200, 300] {
            tally.count(Moments { intended: at(intended), sent: at(150), done: at(160) }, None);
        }
        assert_eq!(tally.take().answered, 0);
    }
}
