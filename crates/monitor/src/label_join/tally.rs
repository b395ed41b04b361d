use std::collections::BTreeMap;

use leat_contract::{Accuracy, Interval, ModelVersion};
use leat_statistics::{Z_95, wilson_interval};

use super::score::Score;

/// The counts of each version.
#[derive(Debug, Default)]
pub(super) struct Tallies(BTreeMap<ModelVersion, Tally>);

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) predictions: u64,
    pub(super) matched: u64,
    pub(super) expired: u64,
    pub(super) duplicates: u64,
    sum: Score,
}

impl Tallies {
    pub(super) fn of(&mut self, version: ModelVersion) -> &mut Tally {
        self.0.entry(version).or_default()
    }

    pub(super) fn accuracy(&self, version: ModelVersion) -> Option<Accuracy> {
        self.0.get(&version).map(Tally::accuracy)
    }
}

impl Tally {
    pub(super) fn add(&mut self, score: &Score) {
        self.sum.classified += score.classified;
        self.sum.correct += score.correct;
        self.sum.values += score.values;
        self.sum.absolute_error += score.absolute_error;
    }

    pub(super) fn subtract(&mut self, score: &Score) {
        self.sum.classified -= score.classified;
        self.sum.correct -= score.correct;
        self.sum.values -= score.values;
        self.sum.absolute_error -= score.absolute_error;
    }

    fn accuracy(&self) -> Accuracy {
        let Score { classified, correct, values, absolute_error } = self.sum;
        let interval = wilson_interval(correct, classified, Z_95);
        Accuracy {
            predictions: self.predictions,
            matched: self.matched,
            pending: self.predictions - self.matched - self.expired,
            expired: self.expired,
            duplicates: self.duplicates,
            orphans: 0,
            correct,
            ratio: (classified > 0).then(|| correct as f64 / classified as f64),
            interval: interval.map(|range| Interval { low: range.low, high: range.high }),
            mean_absolute_error: (values > 0).then(|| (absolute_error / values as f64).max(0.0)),
        }
    }
}
