//! While requests come, blobs are fetched from the broker with time in between: a broker that has a blob only in its file reads a whole
//! block of it, and collects garbage all the sooner, so that it is the fetches in a second that other models notice.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between the beginnings of two fetches. Measured with `leat-bench loading`: three in a second are hardly noticed, four are.
const EVERY: Duration = Duration::from_millis(350);
/// How long nobody notices that there is nothing to give way to any more.
const PART: Duration = Duration::from_millis(20);

/// The order in which blobs are fetched.
#[derive(Debug)]
pub(crate) struct FetchTurns {
    /// When the next fetch may begin.
    next: Mutex<Instant>,
}

impl FetchTurns {
    pub(crate) fn new() -> Self {
        Self { next: Mutex::new(Instant::now()) }
    }

    /// Waits for the turn of one more fetch, or until it need not give way.
    pub(crate) async fn wait(&self, gives_way: impl Fn() -> bool) {
        let turn = self.take();
        while let left = turn.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && gives_way()
        {
            tokio::time::sleep(left.min(PART)).await;
        }
    }

    fn take(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + EVERY;
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn turns_have_time_in_between() {
        let turns = FetchTurns::new();
        let (first, second, third) = (turns.take(), turns.take(), turns.take());
        assert!(first <= Instant::now());
        assert_eq!([second - first, third - second], [EVERY; 2]);
    }

    #[tokio::test]
    async fn a_fetch_waits_for_its_turn_as_long_as_there_is_somebody_to_give_way_to() {
        let turns = FetchTurns::new();
        let asked = Cell::new(0);
        let twice = || {
            asked.set(asked.get() + 1);
            asked.get() <= 2
        };
        turns.wait(twice).await;
        assert_eq!(asked.get(), 0, "it is the first one's turn");
        let begun = Instant::now();
        turns.wait(twice).await;
        assert_eq!(asked.get(), 3);
        assert!(begun.elapsed() >= 2 * PART);
    }
}
