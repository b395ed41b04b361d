//! When a version repeats a run only to time it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of the time at most one part in so many, on all threads together.
const PARTS: u32 = 100;
/// And at most once in so long.
const GAP: Duration = Duration::from_millis(10);

/// The next time at which one may.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    next: Mutex<Option<Instant>>,
}

impl Repeats {
    /// Whether a run that takes so long is repeated now.
    pub(crate) fn begin(&self, now: Instant, takes: Duration) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = next.is_none_or(|next| next <= now);
        if is_due {
            *next = now.checked_add(takes.saturating_mul(PARTS).max(GAP));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_takes_a_small_part_of_the_time() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let takes = Duration::from_millis(1);
        assert!(repeats.begin(now, takes));
        assert!(!repeats.begin(now + 99 * takes, takes));
        assert!(repeats.begin(now + 100 * takes, Duration::ZERO));
        assert!(!repeats.begin(now + 100 * takes, Duration::ZERO));
        assert!(!repeats.begin(now + 100 * takes + GAP / 2, Duration::ZERO));
        assert!(repeats.begin(now + 100 * takes + GAP, Duration::ZERO));
    }
}
