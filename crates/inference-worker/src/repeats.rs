//! When a version repeats a run only to time it: seldom, in terms of what it takes anyway, so that hardly anybody waits for that.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Repeating runs of a size may take one part in so many of what these take.
const PARTS_OF_RUNS: u32 = 10;
/// And one in so many of the time, which is for a version with few requests.
const PARTS_OF_TIME: u32 = 1000;
/// At most once in so long.
const GAP: Duration = Duration::from_millis(10);

/// What one version may repeat, on all threads together, by the size of runs as powers of two: short runs leave the long ones their share.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    accounts: Mutex<BTreeMap<usize, Account>>,
}

#[derive(Debug)]
struct Account {
    /// The last run, and the last that was repeated.
    run: Instant,
    repeated: Instant,
    /// What may be spent on repeating.
    credit: Duration,
}

impl Repeats {
    /// Takes notice of a run with so many rows that took so long, and says whether it is repeated, which takes `cost`. The first one is.
    pub(crate) fn begin(&self, now: Instant, (rows, took): (usize, Duration), cost: Duration) -> bool {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let size = rows.checked_next_power_of_two().unwrap_or(usize::MAX);
        let Some(Account { run, repeated, credit }) = accounts.get_mut(&size) else {
            accounts.insert(size, Account { run: now, repeated: now, credit: Duration::ZERO });
            return true;
        };
        let elapsed = now.saturating_duration_since(*run);
        *credit = credit.saturating_add(took / PARTS_OF_RUNS + elapsed / PARTS_OF_TIME);
        *run = now;
        let is_due = *credit >= cost && now.saturating_duration_since(*repeated) >= GAP;
        if is_due {
            // What was not used is no reason to repeat the more later.
            (*repeated, *credit) = (now, Duration::ZERO);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many of so many runs are repeated at three times their cost.
    fn repeated(runs: u32, every: Duration, took: Duration) -> usize {
        let (repeats, start) = (Repeats::default(), Instant::now());
        (0..runs).filter(|run| repeats.begin(start + every * *run, (1, took), 3 * took)).count()
    }

    #[test]
    fn repeating_takes_a_small_part_of_the_time_and_of_what_runs_take() {
        // A tenth of a thread that is always busy, and a little.
        assert_eq!(repeated(10_000, 10 * MS, 10 * MS), 1 + 9_999 / 30);
        // A thousandth of the time, and a tenth of what little the runs take.
        assert_eq!(repeated(1_000, 1000 * MS, 10 * MS), 1 + 999 / 15);
        // Short ones no more often than the gap allows.
        assert_eq!(repeated(100_000, MS / 100, MS / 100), 100);
    }

    #[test]
    fn short_runs_leave_long_ones_their_share() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let mut long = 0;
        for run in 0..20_000 {
            let now = start + 5 * MS * run;
            repeats.begin(now, (1, MS / 50), 3 * MS / 50);
            if run % 20 == 0 {
                long += u32::from(repeats.begin(now, (64, 5 * MS), 10 * MS));
            }
        }
        // Each of 1000 brings a tenth of what it takes and a thousandth of the 100 ms from one to the next.
        assert_eq!(long, 1 + 999 / 17);
    }
}
