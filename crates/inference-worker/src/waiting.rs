//! How long a request may wait and how urgent it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_contract::{Encoding, Envelope, Priority};
use leat_messaging::Subject;

use crate::Error;
use crate::claim::Claim;

/// What counts while a request waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) priority: Priority,
    /// How long a thread will be busy with it, about.
    pub(crate) cost_ns: u64,
    /// The right to answer it, when it has a deadline.
    pub(crate) claim: Option<Arc<Claim>>,
    limit: Limit,
}

/// How long a request may stand in the queue, deadline aside.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// The caller's own wish, in microseconds.
    Caller(u64),
    /// What the deployment allows.
    Deployment(Duration),
}

impl Waiting {
    /// What a request asks for, where its deployment allows `wait_max` at most.
    pub(crate) fn new(
        envelope: &Envelope,
        received: Instant,
        wait_max: Duration,
        (reply, encoding): (&Subject, Encoding),
    ) -> Self {
        let claim = |deadline_ms| Arc::new(Claim::new(received, deadline_ms, reply.clone(), encoding));
        let claim = envelope.deadline_ms.map(claim);
        let own =
            envelope.queue_timeout_us.filter(|timeout_us| Duration::from_micros(*timeout_us) < wait_max);
        let limit = own.map_or(Limit::Deployment(wait_max), Limit::Caller);
        Self { priority: envelope.priority, cost_ns: 0, claim, limit }
    }

    /// Until when a request that was received then may stand in the queue.
    pub(crate) fn until(&self, received: Instant) -> Instant {
        let limit = received + self.limit.duration();
        self.claim.as_ref().map_or(limit, |claim| claim.due.min(limit))
    }

    /// Until when the caller of a request that was received then is ready to wait, as far as it says.
    pub(crate) fn caller_until(&self, received: Instant) -> Option<Instant> {
        let own = match self.limit {
            Limit::Caller(timeout_us) => Some(received + Duration::from_micros(timeout_us)),
            Limit::Deployment(_) => None,
        };
        own.into_iter().chain(self.claim.as_ref().map(|claim| claim.due)).min()
    }

    /// Says how long the body of the request took to come: what its deployment allows is time in the queue.
    pub(crate) fn body_took(&mut self, elapsed: Duration) {
        if let Limit::Deployment(wait_max) = &mut self.limit {
            *wait_max += elapsed;
        }
    }

    /// Whether a wait of so long would be too long for a request that was received then. Half of the time to a deadline is kept: an
    /// answer also takes the batch that it comes in, and what is run and then comes too late is work that others go without.
    pub(crate) fn is_too_long(&self, wait: Duration, received: Instant) -> bool {
        let is_late = self.claim.as_ref().is_some_and(|claim| received + wait * 2 > claim.due);
        is_late || wait > self.limit.duration()
    }

    /// Until when a request that was received then may wait for others to share its batch, where its deployment lets it wait for `delay`.
    /// Half of its own time is kept, as above.
    pub(crate) fn gathers_until(&self, delay: Duration, received: Instant) -> Instant {
        let own = self.until(received).saturating_duration_since(received);
        received + delay.min(own / 2)
    }

    /// Why a request that was received then is no longer worth running, if it is not.
    pub(crate) fn is_over(&self, received: Instant, now: Instant) -> Option<Error> {
        if let Some(claim) = self.claim.as_ref().filter(|claim| claim.due <= now) {
            return Some(claim.expired());
        }
        let is_over = received + self.limit.duration() <= now;
        is_over.then(|| match self.limit {
            Limit::Caller(timeout_us) => Error::WaitedTooLong { timeout_us },
            Limit::Deployment(wait_max) => {
                let reason = format!("the request waited for {wait_max:?}, which is as long as one may");
                Error::Overloaded { reason, retry_after_ms: 1 }
            }
        })
    }

    /// Takes the right to answer; false when the caller has been told that its time is over.
    pub(crate) fn take_claim(&self) -> bool {
        self.claim.as_ref().is_none_or(|claim| claim.take())
    }
}

impl Limit {
    fn duration(self) -> Duration {
        match self {
            Self::Caller(timeout_us) => Duration::from_micros(timeout_us),
            Self::Deployment(wait_max) => wait_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use leat_contract::ErrorCode;

    use super::*;

    const WAIT_MAX: Duration = Duration::from_millis(100);

    fn waiting(deadline_ms: Option<u64>, queue_timeout_us: Option<u64>, received: Instant) -> Waiting {
        let envelope = Envelope { deadline_ms, queue_timeout_us, ..Envelope::default() };
        Waiting::new(&envelope, received, WAIT_MAX, (&"reply".into(), Encoding::Json))
    }

    fn code_after(waiting: &Waiting, received: Instant, milliseconds: u64) -> Option<ErrorCode> {
        let now = received + Duration::from_millis(milliseconds);
        waiting.is_over(received, now).map(|error| error.code())
    }

    #[test]
    fn the_first_limit_that_is_reached_says_why() {
        let received = Instant::now();
        let deadline = waiting(Some(20), Some(50_000), received);
        assert_eq!(deadline.until(received), received + Duration::from_millis(20));
        assert_eq!(code_after(&deadline, received, 19), None);
        assert_eq!(code_after(&deadline, received, 20), Some(ErrorCode::DeadlineExceeded));
        let own = waiting(Some(80), Some(50_000), received);
        assert_eq!(code_after(&own, received, 49), None);
        assert_eq!(code_after(&own, received, 50), Some(ErrorCode::DeadlineExceeded));
        let none = waiting(None, None, received);
        assert_eq!(code_after(&none, received, 99), None);
        assert_eq!(code_after(&none, received, 100), Some(ErrorCode::Overloaded));
    }

    #[test]
    fn no_caller_waits_longer_than_the_deployment_allows() {
        let received = Instant::now();
        let patient = waiting(None, Some(10_000_000), received);
        assert_eq!(patient.until(received), received + WAIT_MAX);
        assert!(patient.is_too_long(WAIT_MAX * 2, received) && !patient.is_too_long(WAIT_MAX, received));
    }

    #[test]
    fn the_time_that_a_body_took_to_come_is_the_callers_and_no_time_in_the_queue() {
        let received = Instant::now();
        let mut patient = waiting(None, None, received);
        assert_eq!(patient.caller_until(received), None);
        patient.body_took(Duration::from_millis(50));
        assert_eq!(code_after(&patient, received, 149), None);
        assert_eq!(code_after(&patient, received, 150), Some(ErrorCode::Overloaded));
        let mut hurried = waiting(Some(30), Some(20_000), received);
        assert_eq!(hurried.caller_until(received), Some(received + Duration::from_millis(20)));
        hurried.body_took(Duration::from_millis(50));
        assert_eq!(code_after(&hurried, received, 20), Some(ErrorCode::DeadlineExceeded));
    }

    #[test]
    fn a_request_gives_half_of_its_time_to_a_larger_batch() {
        let received = Instant::now();
        let after = |waiting: &Waiting| waiting.gathers_until(Duration::from_millis(40), received) - received;
        assert_eq!(after(&waiting(None, None, received)), Duration::from_millis(40));
        assert_eq!(after(&waiting(Some(20), None, received)), Duration::from_millis(10));
        assert_eq!(after(&waiting(Some(200), Some(30_000), received)), Duration::from_millis(15));
    }

    #[test]
    fn a_request_waits_for_half_of_its_deadline_at_most() {
        let received = Instant::now();
        let hurried = waiting(Some(20), None, received);
        let milliseconds = Duration::from_millis;
        assert!(
            !hurried.is_too_long(milliseconds(10), received)
                && hurried.is_too_long(milliseconds(11), received)
        );
    }
}
