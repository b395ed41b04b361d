use leat_contract::{LabelValue, PredictedValue, Scalar};

/// How one prediction compares with its label.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Score {
    /// Rows with a class.
    pub(super) classified: u64,
    /// Of them, those whose class was right.
    pub(super) correct: u64,
    /// Numbers compared.
    pub(super) values: u64,
    /// The sum of their absolute errors.
    pub(super) absolute_error: f64,
}

impl Score {
    /// None when the label does not speak of the same rows, or of numbers where a number was predicted.
    pub(super) fn of(rows: &[PredictedValue], label: &LabelValue) -> Option<Self> {
        if label.rows() != rows.len() {
            return None;
        }
        let mut score = Self::default();
        for (index, predicted) in rows.iter().enumerate() {
            match (predicted, truth(label, index)?) {
                (PredictedValue::Class { label, .. }, Truth::Scalar(truth)) => {
                    score.classified += 1;
                    score.correct += u64::from(*label == truth.to_string());
                }
                (PredictedValue::Values(values), truth) => score.add_values(values, &truth.numbers()?)?,
                (PredictedValue::Class { .. }, Truth::Numbers(_)) => return None,
            }
        }
        Some(score)
    }

    fn add_values(&mut self, predicted: &[f32], truth: &[f64]) -> Option<()> {
        if predicted.len() != truth.len() {
            return None;
        }
        for (predicted, truth) in predicted.iter().zip(truth) {
            self.values += 1;
            self.absolute_error += (f64::from(*predicted) - truth).abs();
        }
        Some(())
    }
}

enum Truth<'label> {
    Scalar(&'label Scalar),
    Numbers(&'label [f64]),
}

impl Truth<'_> {
    fn numbers(&self) -> Option<Vec<f64>> {
        match self {
            Self::Scalar(value) => value.as_number().map(|number| vec![number]),
            Self::Numbers(values) => Some(values.to_vec()),
        }
    }
}

fn truth(label: &LabelValue, row: usize) -> Option<Truth<'_>> {
    match label {
        LabelValue::One(value) => Some(Truth::Scalar(value)),
        LabelValue::Rows(values) => values.get(row).map(Truth::Scalar),
        LabelValue::Targets(rows) => rows.get(row).map(|values| Truth::Numbers(values)),
    }
}
