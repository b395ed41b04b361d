//! Asking a service to stop, and the time it then has.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Asks a service to stop. Whoever asks first may shorten the deadline.
#[derive(Debug, Clone)]
pub(crate) struct StopRequest {
    token: CancellationToken,
    deadline: Arc<OnceLock<Duration>>,
}

impl StopRequest {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { token, deadline: Arc::new(OnceLock::new()) }
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Asks; a deadline given by the first to ask counts when it is shorter than the configured one.
    pub(crate) fn ask(&self, deadline: Option<Duration>) {
        if let Some(deadline) = deadline {
            let _ = self.deadline.set(deadline);
        }
        self.token.cancel();
    }

    /// Starts the clock of stopping.
    pub(crate) fn budget(&self, configured: Duration) -> Budget {
        let asked = self.deadline.get().copied().unwrap_or(configured);
        Budget::start(asked.min(configured))
    }
}

/// The steps of stopping, in order, with the share of the deadline by which each must have ended. A step that ends early
/// leaves its time to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The service ends its subscriptions and finishes what is in flight.
    Service,
    /// Replies leave.
    Flush,
    /// Connections close.
    Drain,
    /// Spans leave.
    Telemetry,
}

impl Step {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Service => "finishing work",
            Self::Flush => "flushing replies",
            Self::Drain => "closing connections",
            Self::Telemetry => "flushing telemetry",
        }
    }

    const fn ends_at_percent(self) -> u32 {
        match self {
            Self::Service => 70,
            Self::Flush => 80,
            Self::Drain => 90,
            Self::Telemetry => 100,
        }
    }
}

/// The time that stopping has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    started: Instant,
    total: Duration,
}

impl Budget {
    fn start(total: Duration) -> Self {
        Self { started: Instant::now(), total }
    }

    /// When a step must have ended.
    pub(crate) fn end_of(self, step: Step) -> Instant {
        self.started + self.total * step.ends_at_percent() / 100
    }

    /// Time left for a step.
    pub(crate) fn left_for(self, step: Step) -> Duration {
        self.end_of(step).saturating_duration_since(Instant::now())
    }

    /// Time since stopping began.
    pub(crate) fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// The error of a step that was cut off.
    pub(crate) fn exceeded(self, step: Step) -> Error {
        let limit = self.end_of(step).saturating_duration_since(self.started);
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Error::ShutdownIncomplete { step: step.name(), limit_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_to_ask_may_shorten_the_deadline_but_not_lengthen_it() {
        let stop = StopRequest::new(CancellationToken::new());
        stop.ask(Some(SECOND));
        stop.ask(Some(SECOND * 9));
        assert!(stop.token().is_cancelled());
        assert_eq!(stop.budget(SECOND * 5).total, SECOND);
        let longer = StopRequest::new(CancellationToken::new());
        longer.ask(Some(SECOND * 9));
        assert_eq!(longer.budget(SECOND * 5).total, SECOND * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_a_step_leaves_goes_to_the_next() {
        let budget = Budget::start(SECOND * 10);
        assert_eq!(budget.left_for(Step::Service), SECOND * 7);
        tokio::time::advance(SECOND).await;
        assert_eq!(budget.left_for(Step::Flush), SECOND * 7);
        tokio::time::advance(SECOND * 8).await;
        assert_eq!(budget.left_for(Step::Drain), Duration::ZERO);
        assert_eq!(budget.left_for(Step::Telemetry), SECOND);
        let cut_off = budget.exceeded(Step::Drain).to_string();
        assert_eq!(cut_off, "stopping was cut off: closing connections was not done after 9000 ms");
    }
}
