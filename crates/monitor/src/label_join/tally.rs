use std::collections::{BTreeMap, VecDeque};

use leat_contract::{Accuracy, Interval, ModelVersion};
use leat_statistics::{Z_95, wilson_interval};

use super::score::Score;
use crate::canary::Scored;

/// The counts of each version.
#[derive(Debug, Default)]
pub(super) struct Tallies(BTreeMap<ModelVersion, Tally>);

/// Counters over the life of the monitor, and the latest scores, from which accuracy is computed: an average over
/// everything would hide for weeks that a version has become worse.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) predictions: u64,
    pub(super) matched: u64,
    pub(super) expired: u64,
    pub(super) duplicates: u64,
    /// Predictions that are still held, matched or not.
    pub(super) held: u64,
    correct: u64,
    recent: VecDeque<Score>,
    /// The place of the first of the recent scores among all that there were.
    recent_from: u64,
}

/// A score, and its place among all scores of its version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) score: Score,
    place: u64,
}

impl Tallies {
    pub(super) fn of(&mut self, version: ModelVersion) -> &mut Tally {
        self.0.entry(version).or_default()
    }

    pub(super) fn accuracy(&self, version: ModelVersion) -> Option<Accuracy> {
        self.0.get(&version).map(Tally::accuracy)
    }

    pub(super) fn scored(&self, version: ModelVersion) -> Option<Scored> {
        let recent = &self.0.get(&version)?.recent;
        let Score { classified, correct, .. } = Score::sum(recent);
        let with_values = recent.iter().filter(|score| score.values > 0);
        let errors = with_values.map(|score| score.absolute_error / score.values as f64).collect();
        Some(Scored { rows: classified, correct, errors })
    }

    /// Forgets versions without predictions that are not among those to keep.
    pub(super) fn retain(&mut self, is_kept: impl Fn(ModelVersion) -> bool) {
        self.0.retain(|version, tally| tally.held > 0 || is_kept(*version));
    }
}

impl Tally {
    /// Adds a score; of more than `recent_max` the oldest no longer counts for accuracy.
    pub(super) fn add(&mut self, score: Score, recent_max: usize) -> Placed {
        self.matched += 1;
        self.correct += score.correct;
        let place = self.recent_from + self.recent.len() as u64;
        self.recent.push_back(score);
        while self.recent.len() > recent_max {
            self.recent.pop_front();
            self.recent_from += 1;
        }
        Placed { score, place }
    }

    /// Puts a score in the place of another that turned out to be wrong.
    pub(super) fn correct(&mut self, wrong: Placed, score: Score) -> Placed {
        self.correct = self.correct - wrong.score.correct + score.correct;
        let index = wrong.place.checked_sub(self.recent_from).and_then(|index| usize::try_from(index).ok());
        if let Some(recent) = index.and_then(|index| self.recent.get_mut(index)) {
            *recent = score;
        }
        Placed { score, place: wrong.place }
    }

    fn accuracy(&self) -> Accuracy {
        let Score { classified, correct, values, absolute_error } = Score::sum(&self.recent);
        let interval = wilson_interval(correct, classified, Z_95);
        Accuracy {
            predictions: self.predictions,
            matched: self.matched,
            pending: self.predictions - self.matched - self.expired,
            expired: self.expired,
            duplicates: self.duplicates,
            orphans: 0,
            correct: self.correct,
            ratio: (classified > 0).then(|| correct as f64 / classified as f64),
            interval: interval.map(|range| Interval { low: range.low, high: range.high }),
            mean_absolute_error: (values > 0).then(|| absolute_error / values as f64),
        }
    }
}
