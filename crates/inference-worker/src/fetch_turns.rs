//! While requests come, blobs are fetched from the broker with time in between: a broker that has a blob only in its file reads a whole
//! block of it, and collects garbage all the sooner, so that it is the fetches in a second that other models notice.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From the beginning of a fetch to that of the next one. Measured with `leat-bench loading`: two in two seconds raise the 99th
/// percentile of others by a fifth now and then, one by a tenth.
const EVERY: Duration = Duration::from_secs(2);
/// How long nobody notices that there is nothing to give way to any more.
const PART: Duration = Duration::from_millis(20);

/// When the next blob may be fetched.
#[derive(Debug)]
pub(crate) struct FetchTurns {
    every: Duration,
    next: Mutex<Instant>,
}

impl FetchTurns {
    pub(crate) fn new() -> Self {
        Self::with_time_in_between(EVERY)
    }

    fn with_time_in_between(every: Duration) -> Self {
        Self { every, next: Mutex::new(Instant::now()) }
    }

    /// Waits until one more fetch may begin, or need not give way. Whoever stops waiting holds up nobody.
    pub(crate) async fn wait(&self, gives_way: impl Fn() -> bool) {
        while let Some(left) = self.left(Instant::now(), &gives_way) {
            tokio::time::sleep(left.min(PART)).await;
        }
    }

    /// How long a fetch has to wait; none when it begins now.
    fn left(&self, now: Instant, gives_way: impl Fn() -> bool) -> Option<Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let left = next.saturating_duration_since(now);
        if !left.is_zero() && gives_way() {
            return Some(left);
        }
        *next = now + self.every;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn fetches_that_give_way_have_time_in_between() {
        let turns = FetchTurns::new();
        let now = Instant::now();
        assert_eq!(turns.left(now, || true), None);
        assert_eq!(turns.left(now, || true), Some(EVERY));
        assert_eq!(turns.left(now + EVERY / 2, || true), Some(EVERY / 2));
        assert_eq!(turns.left(now + EVERY, || true), None);
        assert_eq!(turns.left(now + EVERY, || true), Some(EVERY));
    }

    #[test]
    fn fetches_that_do_not_wait_hold_up_the_next_one_by_a_single_turn() {
        let turns = FetchTurns::new();
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(turns.left(now, || false), None);
        }
        assert_eq!(turns.left(now, || true), Some(EVERY));
    }

    #[tokio::test]
    async fn a_fetch_waits_only_as_long_as_there_is_somebody_to_give_way_to() {
        let turns = FetchTurns::with_time_in_between(Duration::from_secs(3600));
        let asked = Cell::new(0);
        let twice = || {
            asked.set(asked.get() + 1);
            asked.get() <= 2
        };
        turns.wait(twice).await;
        assert_eq!(asked.get(), 0, "nothing was fetched before");
        let begun = Instant::now();
        turns.wait(twice).await;
        assert_eq!(asked.get(), 3);
        assert!(begun.elapsed() >= 2 * PART);
    }
}
