//! Figures of merit, by the definitions (and to the last digits the values) of scikit-learn.

use ndarray::ArrayView2;

pub use leat_model::Metrics;

/// `accuracy`, `macro_f1` and `log_loss` of class probabilities, `[rows, classes]`, against the true class of each row.
///
/// The predicted class is the first with the highest probability. `macro_f1` is the mean over the classes that are true or predicted
/// at least once. `log_loss` uses the natural logarithm and keeps probabilities `f32::EPSILON` away from 0 and 1. Empty without rows.
pub fn classification(probabilities: ArrayView2<'_, f32>, truth: &[usize]) -> Metrics {
    let mut figures = ClassFigures::new(probabilities.ncols());
    figures.add(probabilities, truth.iter().copied());
    figures.finish()
}

/// `rmse`, `mae` and `r2` of predictions against the truth, both `[rows, targets]`, each the mean over the targets.
///
/// `r2` of a constant target is 1 when every prediction is exact and 0 otherwise; it is absent below two rows. Empty without rows.
pub fn regression(predictions: ArrayView2<'_, f32>, truth: ArrayView2<'_, f32>) -> Metrics {
    let mut figures = ErrorFigures::new(truth.ncols());
    figures.add(predictions, truth);
    figures.finish(truth)
}

/// What [`classification`] needs to know of the rows so far.
pub(crate) struct ClassFigures {
    tallies: Vec<Tally>,
    rows: u64,
    correct: u64,
    log_loss: f64,
}

impl ClassFigures {
    pub(crate) fn new(classes: usize) -> Self {
        Self { tallies: vec![Tally::default(); classes], rows: 0, correct: 0, log_loss: 0.0 }
    }

    /// Counts further rows.
    pub(crate) fn add(&mut self, probabilities: ArrayView2<'_, f32>, truth: impl Iterator<Item = usize>) {
        for (row, class) in probabilities.rows().into_iter().zip(truth) {
            let predicted = largest(row.iter().copied());
            self.rows += 1;
            self.correct += u64::from(predicted == class);
            if let Some(tally) = self.tallies.get_mut(predicted) {
                tally.predicted += 1;
                tally.hit += u64::from(predicted == class);
            }
            if let Some(tally) = self.tallies.get_mut(class) {
                tally.actual += 1;
            }
            let probability = row.get(class).copied().unwrap_or(0.0);
            self.log_loss -= f64::from(probability.clamp(f32::EPSILON, 1.0 - f32::EPSILON)).ln();
        }
    }

    pub(crate) fn finish(self) -> Metrics {
        if self.rows == 0 {
            return Metrics::new();
        }
        let rows = self.rows as f64;
        let present: Vec<f64> =
            self.tallies.iter().filter(|tally| tally.is_present()).map(Tally::f1).collect();
        Metrics::from([
            ("accuracy".to_owned(), self.correct as f64 / rows),
            ("log_loss".to_owned(), self.log_loss / rows),
            ("macro_f1".to_owned(), present.iter().sum::<f64>() / present.len() as f64),
        ])
    }
}

/// What [`regression`] needs to know of the rows so far: the sums of squared and of absolute errors of each target.
pub(crate) struct ErrorFigures {
    sums: Vec<(f64, f64)>,
}

impl ErrorFigures {
    pub(crate) fn new(targets: usize) -> Self {
        Self { sums: vec![(0.0, 0.0); targets] }
    }

    /// Counts further rows.
    pub(crate) fn add(&mut self, predictions: ArrayView2<'_, f32>, truth: ArrayView2<'_, f32>) {
        let columns = predictions.columns().into_iter().zip(truth.columns());
        for ((squares, distances), (predicted, actual)) in self.sums.iter_mut().zip(columns) {
            for (predicted, actual) in predicted.iter().zip(actual) {
                let error = f64::from(*predicted) - f64::from(*actual);
                *squares += error * error;
                *distances += error.abs();
            }
        }
    }

    /// The figures; `truth` is that of all rows.
    pub(crate) fn finish(self, truth: ArrayView2<'_, f32>) -> Metrics {
        let (rows, targets) = truth.dim();
        if rows == 0 || targets == 0 {
            return Metrics::new();
        }
        let (mut rmse, mut mae, mut r2) = (0.0, 0.0, 0.0);
        for ((squares, distances), actual) in self.sums.into_iter().zip(truth.columns()) {
            let mean = actual.iter().map(|y| f64::from(*y)).sum::<f64>() / rows as f64;
            let spread: f64 = actual.iter().map(|y| (f64::from(*y) - mean).powi(2)).sum();
            rmse += (squares / rows as f64).sqrt();
            mae += distances / rows as f64;
            r2 += match (spread > 0.0, squares > 0.0) {
                (true, _) => 1.0 - squares / spread,
                (false, false) => 1.0,
                (false, true) => 0.0,
            };
        }
        let mean = |sum: f64| sum / targets as f64;
        let mut metrics = Metrics::from([("rmse".to_owned(), mean(rmse)), ("mae".to_owned(), mean(mae))]);
        if rows > 1 {
            metrics.insert("r2".to_owned(), mean(r2));
        }
        metrics
    }
}

/// The position of the first largest value; 0 for none.
pub(crate) fn largest(values: impl Iterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (position, value) in values.enumerate() {
        if value > best.1 {
            best = (position, value);
        }
    }
    best.0
}

/// How often one class was predicted, was true, and both.
#[derive(Clone, Default)]
struct Tally {
    predicted: u64,
    actual: u64,
    hit: u64,
}

impl Tally {
    fn is_present(&self) -> bool {
        self.predicted + self.actual > 0
    }

    fn f1(&self) -> f64 {
        2.0 * self.hit as f64 / (self.predicted + self.actual) as f64
    }
}

#[cfg(test)]
mod tests;
