//! The right to answer one request, given once: to the thread that ran it, or to whoever says that its time is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leat_contract::Encoding;
use leat_messaging::Subject;

use crate::Error;
use crate::work::Content;

/// A request with a deadline. Those without one need no claim: only one thread can ever answer them.
#[derive(Debug)]
pub(crate) struct Claim {
    is_taken: AtomicBool,
    /// When the caller no longer waits.
    pub(crate) due: Instant,
    deadline_ms: u64,
    reply: Subject,
    encoding: Encoding,
}

impl Claim {
    pub(crate) fn new(received: Instant, deadline_ms: u64, reply: Subject, encoding: Encoding) -> Self {
        let due = received + Duration::from_millis(deadline_ms);
        Self { is_taken: AtomicBool::new(false), due, deadline_ms, reply, encoding }
    }

    /// Takes the right to answer; false when it was taken before.
    pub(crate) fn take(&self) -> bool {
        !self.is_taken.swap(true, Ordering::AcqRel)
    }

    /// Whether somebody has answered or is about to.
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Acquire)
    }

    /// Why there is no prediction once it is due.
    pub(crate) fn expired(&self) -> Error {
        Error::Expired { deadline_ms: self.deadline_ms }
    }

    /// What the caller is told once it is due, and where.
    pub(crate) fn late_answer(&self) -> (Subject, Content) {
        (self.reply.clone(), Content::Refusal(self.expired().detail(), self.encoding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_who_asks_may_answer() {
        let claim = Claim::new(Instant::now(), 5, "reply".into(), Encoding::Json);
        assert!(!claim.is_taken());
        assert!(claim.take() && !claim.take());
        assert!(claim.is_taken());
    }
}
