//! Predictions and labels of one model, joined by request id.
//!
//! At any time, for each version: predictions = matched + pending + expired. Both streams are delivered at least once and
//! are read again from their beginning after a restart, so seeing something twice changes nothing.

mod score;
mod tally;

use std::collections::{HashMap, VecDeque};

use leat_contract::{Accuracy, Label, LabelValue, ModelVersion, PredictedValue, PredictionRecord, RequestId};
use score::Score;
use tally::Tallies;

/// How long things are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinLimits {
    /// How long a prediction waits for its label, and a matched one for a correction.
    pub(crate) wait_ms: u64,
    /// How long a label waits for a prediction that has not been seen yet.
    pub(crate) grace_ms: u64,
    /// Predictions kept; the oldest gives way.
    pub(crate) predictions_max: usize,
    /// Labels kept without a prediction; the oldest gives way.
    pub(crate) early_labels_max: usize,
}

/// The state of the join.
#[derive(Debug)]
pub(crate) struct LabelJoin {
    limits: JoinLimits,
    predictions: HashMap<RequestId, Prediction>,
    /// The ids in the order of their arrival, with the time of the prediction.
    by_age: VecDeque<(u64, RequestId)>,
    early: HashMap<RequestId, LabelValue>,
    early_by_age: VecDeque<(u64, RequestId)>,
    tallies: Tallies,
    orphans: u64,
    unusable: u64,
}

#[derive(Debug)]
struct Prediction {
    version: ModelVersion,
    rows: Vec<PredictedValue>,
    labelled: Option<(LabelValue, Score)>,
}

impl LabelJoin {
    pub(crate) fn new(limits: JoinLimits) -> Self {
        Self {
            limits,
            predictions: HashMap::new(),
            by_age: VecDeque::new(),
            early: HashMap::new(),
            early_by_age: VecDeque::new(),
            tallies: Tallies::default(),
            orphans: 0,
            unusable: 0,
        }
    }

    /// Takes a prediction. One whose id is known already is a repetition and ignored.
    pub(crate) fn predicted(&mut self, record: PredictionRecord) {
        if self.predictions.contains_key(&record.request_id) {
            return;
        }
        let PredictionRecord { request_id, version, at, rows } = record;
        self.tallies.of(version).predictions += 1;
        self.predictions.insert(request_id.clone(), Prediction { version, rows, labelled: None });
        self.by_age.push_back((at, request_id.clone()));
        if let Some(label) = self.early.remove(&request_id) {
            self.compare(&request_id, label);
        }
        while self.by_age.len() > self.limits.predictions_max {
            self.forget_oldest_prediction();
        }
    }

    /// Takes a label. A second one for the same request replaces the first if it differs, else it is a duplicate.
    pub(crate) fn labelled(&mut self, label: Label, received_at: u64) {
        if self.predictions.contains_key(&label.request_id) {
            self.compare(&label.request_id, label.label);
            return;
        }
        if self.early.insert(label.request_id.clone(), label.label).is_none() {
            self.early_by_age.push_back((received_at, label.request_id));
        }
        while self.early_by_age.len() > self.limits.early_labels_max {
            self.forget_oldest_label();
        }
    }

    /// Gives up on what has waited too long.
    pub(crate) fn expire(&mut self, now: u64) {
        let is_old = |at: u64, limit: u64| now.saturating_sub(at) > limit;
        while self.by_age.front().is_some_and(|(at, _)| is_old(*at, self.limits.wait_ms)) {
            self.forget_oldest_prediction();
        }
        while self.early_by_age.front().is_some_and(|(at, _)| is_old(*at, self.limits.grace_ms)) {
            self.forget_oldest_label();
        }
    }

    /// How often a version was right; none while nothing was predicted. Orphans belong to no version: each version is
    /// told those of the whole model.
    pub(crate) fn accuracy(&self, version: ModelVersion) -> Option<Accuracy> {
        self.tallies.accuracy(version).map(|accuracy| Accuracy { orphans: self.orphans, ..accuracy })
    }

    /// Labels that do not fit their prediction, for example because they speak of another number of rows.
    pub(crate) fn unusable(&self) -> u64 {
        self.unusable
    }

    fn compare(&mut self, id: &RequestId, label: LabelValue) {
        let Some(prediction) = self.predictions.get_mut(id) else { return };
        let tally = self.tallies.of(prediction.version);
        if prediction.labelled.as_ref().is_some_and(|(known, _)| *known == label) {
            tally.duplicates += 1;
            return;
        }
        let Some(score) = Score::of(&prediction.rows, &label) else {
            self.unusable += 1;
            return;
        };
        match prediction.labelled.replace((label, score)) {
            Some((_, corrected)) => tally.subtract(&corrected),
            None => tally.matched += 1,
        }
        tally.add(&score);
    }

    fn forget_oldest_prediction(&mut self) {
        let Some((_, id)) = self.by_age.pop_front() else { return };
        if let Some(prediction) = self.predictions.remove(&id)
            && prediction.labelled.is_none()
        {
            self.tallies.of(prediction.version).expired += 1;
        }
    }

    fn forget_oldest_label(&mut self) {
        let Some((_, id)) = self.early_by_age.pop_front() else { return };
        if self.early.remove(&id).is_some() {
            self.orphans += 1;
        }
    }
}

#[cfg(test)]
mod tests;
