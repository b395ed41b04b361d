use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leat_statistics::LatencyHistogram;

use crate::open_loop::Omissions;
use crate::tally::{Counts, Window};
use crate::{Failure, Pace};

/// What became of the requests of one step. Warming up is not in it.
#[derive(Clone, Debug)]
#[must_use = "failures that nobody looks at are hidden"]
pub struct StepReport {
    /// How hard it was asked.
    pub pace: Pace,
    /// From the beginning to the last answer.
    pub elapsed: Duration,
    /// Requests with an answer that is no error.
    pub answered: u64,
    /// Requests without one, by reason.
    pub failed: BTreeMap<Failure, u64>,
    /// Requests that should have been sent and never were, because as many as may be were outstanding. Only in an open loop.
    pub unsent: u64,
    /// Requests that for the same reason were sent later than they should have been; their latency counts from when they should.
    pub delayed: u64,
    /// How long answers took: in an open loop from the intended moment, which corrects for coordinated omission, in a closed loop from
    /// the sending. Requests that timed out or were never sent are in it with the time that they waited at least, so that leaving them
    /// out flatters nobody; other failures are not.
    pub latency: LatencyHistogram,
    /// How long answers took from the sending, failures left out.
    pub service_time: LatencyHistogram,
    /// How much later than intended requests were sent: the generator's own part of the latency.
    pub send_lag: LatencyHistogram,
}

impl StepReport {
    pub(crate) fn new(pace: Pace, window: Window, counts: Counts, omissions: Omissions) -> Self {
        let planned = window.end.min(Instant::now()).saturating_duration_since(window.begin);
        let until_last = counts.last.map(|last| last.saturating_duration_since(window.begin));
        let elapsed = match pace {
            Pace::Closed { .. } => until_last.unwrap_or(planned),
            Pace::Open { .. } => planned.max(until_last.unwrap_or_default()),
        };
        Self {
            pace,
            elapsed,
            answered: counts.answered,
            failed: counts.failed,
            unsent: omissions.unsent,
            delayed: omissions.delayed,
            latency: counts.latency,
            service_time: counts.service_time,
            send_lag: counts.send_lag,
        }
    }

    /// Requests that got no answer.
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Requests that were sent.
    pub fn sent(&self) -> u64 {
        self.answered + self.failed_total()
    }

    /// Answers per second.
    pub fn answered_per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
