//! Random shortening of waits, so that many clients do not act in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A random duration between half of `longest` and all of it.
pub(crate) fn jittered(longest: Duration) -> Duration {
    // A fresh hasher is seeded randomly by the standard library, which is random enough to spread waits.
    let random = RandomState::new().hash_one(0_u8) % 1024;
    let share = u32::try_from(random).unwrap_or(0);
    longest / 2 + longest / 2 * share / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_between_half_and_whole_and_varies() {
        let longest = Duration::from_millis(500);
        let waits: Vec<Duration> = (0..100).map(|_| jittered(longest)).collect();
        assert!(waits.iter().all(|wait| *wait >= longest / 2 && *wait <= longest));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
