//! How far the streams of predictions and of labels have been read. After a start both are read from their beginning, and a
//! label may only be judged by what its stream and the other one have told up to the same time.

use crate::label_join::Watermarks;

/// The progress in both streams.
#[derive(Debug)]
pub(crate) struct Progress {
    predictions: ReadTo,
    labels: ReadTo,
    has_moved: bool,
    is_stalled: bool,
}

#[derive(Debug)]
struct ReadTo {
    /// When the last message that was read had been stored.
    stored_at: u64,
    /// Whether there was nothing behind it.
    is_current: bool,
}

impl Progress {
    /// Before anything was read; an empty stream is read to its end.
    pub(crate) fn new(has_predictions: bool, has_labels: bool) -> Self {
        let begin = |has_any: bool| ReadTo { stored_at: 0, is_current: !has_any };
        Self {
            predictions: begin(has_predictions),
            labels: begin(has_labels),
            has_moved: false,
            is_stalled: false,
        }
    }

    /// Predictions were read, stored at a time and with so many messages behind them.
    pub(crate) fn read_predictions(&mut self, stored_at: u64, pending: u64) {
        self.predictions.advance(stored_at, pending);
        self.moved();
    }

    /// The same for a label.
    pub(crate) fn read_label(&mut self, stored_at: u64, pending: u64) {
        self.labels.advance(stored_at, pending);
        self.moved();
    }

    /// Whether predictions may be read on: the stream that lags is read first, so that little has to wait in memory.
    pub(crate) fn takes_predictions(&self) -> bool {
        self.is_stalled || self.labels.is_current || self.predictions.stored_at <= self.labels.stored_at
    }

    /// The same for labels.
    pub(crate) fn takes_labels(&self) -> bool {
        self.is_stalled || self.predictions.is_current || self.labels.stored_at <= self.predictions.stored_at
    }

    /// Some time passed. When nothing was read in it, what is missing may have gone from its stream: nothing waits for it.
    pub(crate) fn tick(&mut self) {
        self.is_stalled = !self.has_moved;
        self.has_moved = false;
    }

    /// Up to when everything was seen. A stream that was read to its end has told everything until now.
    pub(crate) fn watermarks(&self, now: u64) -> Watermarks {
        Watermarks { predictions: self.predictions.seen(now), labels: self.labels.seen(now) }
    }

    fn moved(&mut self) {
        self.has_moved = true;
        self.is_stalled = false;
    }
}

impl ReadTo {
    fn advance(&mut self, stored_at: u64, pending: u64) {
        self.stored_at = self.stored_at.max(stored_at);
        self.is_current = pending == 0;
    }

    fn seen(&self, now: u64) -> u64 {
        if self.is_current { now } else { self.stored_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_that_lags_is_read_first() {
        let mut progress = Progress::new(true, true);
        assert!(progress.takes_predictions() && progress.takes_labels());
        progress.read_predictions(10, 5);
        assert!(!progress.takes_predictions() && progress.takes_labels());
        progress.read_label(20, 5);
        assert!(progress.takes_predictions() && !progress.takes_labels());
        progress.read_label(20, 0);
        assert!(progress.takes_predictions());
        progress.read_predictions(30, 0);
        assert!(progress.takes_predictions() && progress.takes_labels());
    }

    #[test]
    fn time_passes_only_in_a_stream_that_was_read_to_its_end() {
        let mut progress = Progress::new(true, false);
        assert_eq!(progress.watermarks(100), Watermarks { predictions: 0, labels: 100 });
        progress.read_predictions(7, 1);
        assert_eq!(progress.watermarks(100), Watermarks { predictions: 7, labels: 100 });
        progress.read_predictions(9, 0);
        assert_eq!(progress.watermarks(100), Watermarks { predictions: 100, labels: 100 });
    }

    #[test]
    fn nothing_waits_for_messages_that_do_not_come() {
        let mut progress = Progress::new(true, true);
        progress.read_predictions(10, 5);
        progress.tick();
        assert!(!progress.takes_predictions());
        progress.tick();
        assert!(progress.takes_predictions());
        progress.read_predictions(20, 4);
        assert!(!progress.takes_predictions());
    }
}
