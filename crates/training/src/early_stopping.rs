use crate::EarlyStopping;

/// The best epoch so far and how long ago it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Best {
    /// Counted from 1; 0 before the first.
    pub(crate) epoch: u32,
    /// The validation loss of that epoch.
    pub(crate) loss: f64,
    /// The parameters after that epoch; empty before the first.
    pub(crate) parameters: Vec<f32>,
    /// Epochs since then.
    pub(crate) stale: u32,
}

impl Best {
    /// Takes note of an epoch and says whether it is the best so far.
    pub(crate) fn observe(&mut self, rule: EarlyStopping, epoch: u32, loss: f64, parameters: &[f32]) -> bool {
        let improved = self.epoch == 0 || loss < self.loss - rule.min_delta;
        if improved {
            self.epoch = epoch;
            self.loss = loss;
            self.parameters.clear();
            self.parameters.extend_from_slice(parameters);
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        improved
    }

    /// Whether there was no improvement for as long as the rule tolerates.
    pub(crate) fn is_exhausted(&self, rule: EarlyStopping) -> bool {
        self.stale >= rule.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: EarlyStopping = EarlyStopping { patience: 2, min_delta: 0.1, validation_ratio: 0.2 };

    #[test]
    fn stops_after_the_tolerated_epochs_and_keeps_the_best_parameters() {
        let mut best = Best::default();
        assert!(best.observe(RULE, 1, 1.0, &[1.0]));
        assert!(best.observe(RULE, 2, 0.5, &[2.0]));
        assert!(!best.observe(RULE, 3, 0.45, &[3.0]), "the fall is smaller than min_delta");
        assert!(!best.is_exhausted(RULE));
        assert!(!best.observe(RULE, 4, 0.6, &[4.0]));
        assert!(best.is_exhausted(RULE));
        assert_eq!((best.epoch, best.parameters.as_slice()), (2, [2.0].as_slice()));
    }
}
