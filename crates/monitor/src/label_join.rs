//! Predictions and labels of one model, joined by request id.
//!
//! At any time, for each version: predictions = matched + pending + expired. Both streams are delivered at least once and
//! are read again from their beginning after a restart, so seeing something twice changes nothing.
//!
//! Time is the time at which the streams stored a message, never that of reading it. Whether a label belongs to a prediction
//! depends on these two times alone, so it does not matter which of the streams is read faster.

mod score;
mod tally;
mod waiting;

use leat_contract::{Accuracy, Label, LabelValue, ModelVersion, PredictedValue, PredictionRecord, RequestId};
use score::Score;

use crate::canary::Scored;
use tally::{Placed, Tallies};
use waiting::Waiting;

/// Labels that wait for the same prediction: the first one and its corrections. The last gives way to further ones.
const LABELS_PER_REQUEST_MAX: usize = 8;

/// How long things are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinLimits {
    /// How long a prediction waits for its label, and a matched one for a correction.
    pub(crate) wait_ms: u64,
    /// How long a label waits for a prediction that has not been seen yet.
    pub(crate) grace_ms: u64,
    /// Predictions kept, and likewise labels without a prediction; the oldest gives way.
    pub(crate) entries_max: usize,
    /// Classes and numbers in them, again for each; the oldest gives way.
    pub(crate) values_max: usize,
    /// Labels of a version that its accuracy covers, the latest ones.
    pub(crate) recent_max: usize,
}

impl JoinLimits {
    fn belong_together(&self, predicted_at: u64, labelled_at: u64) -> bool {
        labelled_at.saturating_sub(predicted_at) <= self.wait_ms
            && predicted_at.saturating_sub(labelled_at) <= self.grace_ms
    }
}

/// Everything that was stored in a stream before this time has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) predictions: u64,
    pub(crate) labels: u64,
}

/// The state of the join.
#[derive(Debug)]
pub(crate) struct LabelJoin {
    limits: JoinLimits,
    predictions: Waiting<Prediction>,
    early: Waiting<Vec<(u64, LabelValue)>>,
    tallies: Tallies,
    judged_from: u64,
    orphans: u64,
    unusable: u64,
}

#[derive(Debug)]
struct Prediction {
    version: ModelVersion,
    rows: Vec<PredictedValue>,
    labelled: Option<(LabelValue, Placed)>,
}

impl LabelJoin {
    pub(crate) fn new(limits: JoinLimits, judged_from: u64) -> Self {
        Self {
            limits,
            predictions: Waiting::new(),
            early: Waiting::new(),
            tallies: Tallies::default(),
            judged_from,
            orphans: 0,
            unusable: 0,
        }
    }

    /// Labels that were stored before this time are no orphans when they find no prediction: it may be kept no longer.
    pub(crate) fn judge_from(&mut self, time: u64) {
        self.judged_from = time;
    }

    /// Takes a prediction. One whose id is known already is a repetition and ignored.
    pub(crate) fn predicted(&mut self, record: PredictionRecord, stored_at: u64) {
        let PredictionRecord { request_id, version, rows, .. } = record;
        if self.predictions.contains(&request_id) {
            return;
        }
        let tally = self.tallies.of(version);
        tally.predictions += 1;
        tally.held += 1;
        let values = rows.iter().map(predicted_values).sum();
        self.predictions.insert(
            request_id.clone(),
            stored_at,
            values,
            Prediction { version, rows, labelled: None },
        );
        for (at, label) in self.early.remove(&request_id).map(|(_, labels)| labels).unwrap_or_default() {
            self.compare(&request_id, label, at);
        }
        let JoinLimits { entries_max, values_max, .. } = self.limits;
        while let Some(prediction) = self.predictions.pop_beyond(entries_max, values_max) {
            self.forget(&prediction);
        }
    }

    /// Takes a label. A second one for the same request replaces the first if it differs, else it is a duplicate.
    pub(crate) fn labelled(&mut self, label: Label, stored_at: u64) {
        let Label { request_id, label, .. } = label;
        if self.predictions.contains(&request_id) {
            self.compare(&request_id, label, stored_at);
            return;
        }
        let (first_at, mut labels) = self.early.remove(&request_id).unwrap_or((stored_at, Vec::new()));
        labels.truncate(LABELS_PER_REQUEST_MAX - 1);
        labels.push((stored_at, label));
        let values = labels.iter().map(|(_, label)| labelled_values(label)).sum();
        self.early.insert(request_id, first_at, values, labels);
        let JoinLimits { entries_max, values_max, .. } = self.limits;
        while let Some(labels) = self.early.pop_beyond(entries_max, values_max) {
            self.give_up(&labels);
        }
    }

    /// Gives up on what has waited too long: on predictions whose label would have been seen, and on labels whose prediction
    /// would have been.
    pub(crate) fn expire(&mut self, seen: Watermarks) {
        while let Some(prediction) =
            self.predictions.pop_before(seen.labels.saturating_sub(self.limits.wait_ms))
        {
            self.forget(&prediction);
        }
        while let Some(labels) = self.early.pop_before(seen.predictions.saturating_sub(self.limits.grace_ms))
        {
            self.give_up(&labels);
        }
    }

    /// How often a version was right; none while nothing was predicted. Orphans belong to no version: each version is
    /// told those of the whole model.
    pub(crate) fn accuracy(&self, version: ModelVersion) -> Option<Accuracy> {
        self.tallies.accuracy(version).map(|accuracy| Accuracy { orphans: self.orphans, ..accuracy })
    }

    /// How well a version did by its latest labels; none for one of which nothing is known.
    pub(crate) fn scored(&self, version: ModelVersion) -> Option<Scored> {
        self.tallies.scored(version)
    }

    /// Labels for which no prediction is known.
    pub(crate) fn orphans(&self) -> u64 {
        self.orphans
    }

    /// Labels that do not fit their prediction, for example because they speak of another number of rows.
    pub(crate) fn unusable(&self) -> u64 {
        self.unusable
    }

    /// Whether nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.predictions.len() == 0 && self.early.len() == 0
    }

    /// Forgets the counts of versions of which nothing is held and that are not among those to keep.
    pub(crate) fn retain_versions(&mut self, is_kept: impl Fn(ModelVersion) -> bool) {
        self.tallies.retain(is_kept);
    }

    fn compare(&mut self, id: &RequestId, label: LabelValue, labelled_at: u64) {
        let Some((predicted_at, prediction)) = self.predictions.get_mut(id) else { return };
        if !self.limits.belong_together(predicted_at, labelled_at) {
            self.orphans += u64::from(labelled_at >= self.judged_from);
            return;
        }
        let tally = self.tallies.of(prediction.version);
        if prediction.labelled.as_ref().is_some_and(|(known, _)| *known == label) {
            tally.duplicates += 1;
            return;
        }
        let Some(score) = Score::of(&prediction.rows, &label) else {
            self.unusable += 1;
            return;
        };
        let placed = match prediction.labelled.take() {
            Some((_, wrong)) => tally.correct(wrong, score),
            None => tally.add(score, self.limits.recent_max),
        };
        prediction.labelled = Some((label, placed));
    }

    fn forget(&mut self, prediction: &Prediction) {
        let tally = self.tallies.of(prediction.version);
        tally.held -= 1;
        tally.expired += u64::from(prediction.labelled.is_none());
    }

    fn give_up(&mut self, labels: &[(u64, LabelValue)]) {
        self.orphans += labels.iter().filter(|(at, _)| *at >= self.judged_from).count() as u64;
    }
}

fn predicted_values(row: &PredictedValue) -> usize {
    match row {
        PredictedValue::Class { .. } => 1,
        PredictedValue::Values(values) => values.len(),
    }
}

fn labelled_values(label: &LabelValue) -> usize {
    match label {
        LabelValue::One(_) => 1,
        LabelValue::Rows(rows) => rows.len(),
        LabelValue::Targets(rows) => rows.iter().map(Vec::len).sum(),
    }
}

#[cfg(test)]
mod tests;
