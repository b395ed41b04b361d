//! Numbered reports of one sender: which are new, which are repeats, and how many never came.

/// Follows the reports of one sender. A sender numbers its reports 0, 1, 2, … within an epoch and starts a larger epoch
/// each time it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SequenceTracker {
    latest: Option<(u64, u64)>,
}

/// What one report is, compared with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// A report to count. `missed` reports before it did not arrive.
    New {
        /// Number of reports skipped. Those at the start of the first epoch seen are not counted: the observer may
        /// simply have started later than the sender.
        missed: u64,
    },
    /// A repeat or a report from an earlier life of the sender; counting it would count twice or mix two lives.
    Stale,
}

impl SequenceTracker {
    /// Takes the next report's place and says what it is.
    pub fn observe(&mut self, epoch: u64, sequence: u64) -> Observed {
        let missed = match self.latest {
            None => 0,
            Some(latest) if (epoch, sequence) <= latest => return Observed::Stale,
            Some((latest_epoch, latest_sequence)) if epoch == latest_epoch => sequence - latest_sequence - 1,
            Some(_) => sequence,
        };
        self.latest = Some((epoch, sequence));
        Observed::New { missed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_reports_between_two_that_came() {
        let mut tracker = SequenceTracker::default();
        assert_eq!(tracker.observe(1, 7), Observed::New { missed: 0 });
        assert_eq!(tracker.observe(1, 8), Observed::New { missed: 0 });
        assert_eq!(tracker.observe(1, 12), Observed::New { missed: 3 });
    }

    #[test]
    fn repeats_and_late_reports_are_stale() {
        let mut tracker = SequenceTracker::default();
        tracker.observe(1, 7);
        assert_eq!(tracker.observe(1, 7), Observed::Stale);
        assert_eq!(tracker.observe(1, 6), Observed::Stale);
        assert_eq!(tracker.observe(0, 99), Observed::Stale);
        assert_eq!(tracker.observe(1, 8), Observed::New { missed: 0 });
    }

    #[test]
    fn a_new_epoch_is_expected_to_start_at_zero() {
        let mut tracker = SequenceTracker::default();
        tracker.observe(1, 7);
        assert_eq!(tracker.observe(2, 0), Observed::New { missed: 0 });
        assert_eq!(tracker.observe(5, 2), Observed::New { missed: 2 });
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut tracker = SequenceTracker::default();
        tracker.observe(u64::MAX, 0);
        assert_eq!(tracker.observe(u64::MAX, u64::MAX), Observed::New { missed: u64::MAX - 1 });
        assert_eq!(tracker.observe(u64::MAX, u64::MAX), Observed::Stale);
    }
}
