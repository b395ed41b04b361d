//! While requests come, blobs are fetched from the broker with time in between: a broker that has a blob only in its file reads a whole
//! block of it, and collects garbage all the sooner, so that it is the fetches in a second that other models notice.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nobody notices that a fetch need not give way any more.
const PART: Duration = Duration::from_millis(20);

/// How soon a fetch may follow another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Other models have requests.
    GivingWay,
    /// They have, but it has waited long.
    Impatient,
    /// Nobody else would notice, or requests wait for it.
    AtOnce,
}

/// When the last fetch began.
#[derive(Debug)]
pub(crate) struct FetchTurns {
    last: Mutex<Option<Instant>>,
}

impl Pace {
    /// From the beginning of a fetch to that of the next one. Measured with `leat-bench loading`: two in two seconds raise the 99th
    /// percentile of others by a fifth now and then, one by a tenth.
    const fn gap(self) -> Duration {
        match self {
            Self::GivingWay => Duration::from_secs(2),
            Self::Impatient => Duration::from_millis(250),
            Self::AtOnce => Duration::ZERO,
        }
    }
}

impl FetchTurns {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(None) }
    }

    /// Waits until one more fetch may begin. Whoever stops waiting holds up nobody.
    pub(crate) async fn wait(&self, pace: impl Fn() -> Pace) {
        while let Some(left) = self.left(Instant::now(), pace()) {
            tokio::time::sleep(left.min(PART)).await;
        }
    }

    /// How long a fetch has to wait; none when it begins now.
    fn left(&self, now: Instant, pace: Pace) -> Option<Duration> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let since = last.map(|last| now.saturating_duration_since(last));
        let left = since.and_then(|since| pace.gap().checked_sub(since)).filter(|left| !left.is_zero());
        if left.is_none() {
            *last = Some(now);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn fetches_have_time_in_between_and_less_when_they_have_waited_long() {
        for pace in [Pace::GivingWay, Pace::Impatient] {
            let (turns, now, gap) = (FetchTurns::new(), Instant::now(), pace.gap());
            assert_eq!(turns.left(now, pace), None);
            assert_eq!(turns.left(now, pace), Some(gap));
            assert_eq!(turns.left(now + gap / 2, pace), Some(gap / 2));
            assert_eq!(turns.left(now + gap, pace), None);
            assert_eq!(turns.left(now + gap, pace), Some(gap));
        }
        assert!(Pace::Impatient.gap() < Pace::GivingWay.gap());
    }

    #[test]
    fn fetches_that_do_not_wait_hold_up_the_next_one_by_a_single_turn() {
        let turns = FetchTurns::new();
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(turns.left(now, Pace::AtOnce), None);
        }
        assert_eq!(turns.left(now, Pace::GivingWay), Some(Pace::GivingWay.gap()));
    }

    #[tokio::test]
    async fn a_fetch_waits_only_as_long_as_there_is_somebody_to_give_way_to() {
        let turns = FetchTurns::new();
        let asked = Cell::new(0);
        let twice = || {
            asked.set(asked.get() + 1);
            if asked.get() <= 2 { Pace::GivingWay } else { Pace::AtOnce }
        };
        turns.wait(twice).await;
        assert_eq!(asked.get(), 1, "nothing was fetched before");
        asked.set(0);
        let begun = Instant::now();
        turns.wait(twice).await;
        assert_eq!(asked.get(), 3);
        assert!(begun.elapsed() >= 2 * PART);
    }
}
