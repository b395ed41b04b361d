//! When a version repeats a run only to time it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of the time at most one part in so many, on all threads together.
const PARTS: u32 = 100;
/// And at most once in so long.
const GAP: Duration = Duration::from_millis(10);
/// The first ones may take more, so that one that is very slow is known to be so before it is promoted: so many, and one part in so many.
const FIRST: (u32, u32) = (64, 10);

/// The next time at which one may, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    next: Mutex<(Option<Instant>, u32)>,
}

impl Repeats {
    /// Whether a run that takes so long is repeated now.
    pub(crate) fn begin(&self, now: Instant, takes: Duration) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, count) = *next;
        let is_due = due.is_none_or(|due| due <= now);
        if is_due {
            let parts = if count < FIRST.0 { FIRST.1 } else { PARTS };
            let due = now.checked_add(takes.saturating_mul(parts).max(GAP));
            *next = (due, count.saturating_add(1));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_takes_a_small_part_of_the_time() {
        let (repeats, mut now, takes) = (Repeats::default(), Instant::now(), Duration::from_millis(2));
        for count in 0..100 {
            assert!(repeats.begin(now, takes));
            let parts = if count < 64 { 10 } else { 100 };
            assert!(!repeats.begin(now + (parts - 1) * takes, takes));
            now += parts * takes;
        }
        assert!(repeats.begin(now, Duration::ZERO));
        assert!(!repeats.begin(now + GAP / 2, Duration::ZERO));
        assert!(repeats.begin(now + GAP, Duration::ZERO));
    }
}
