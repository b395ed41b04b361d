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
                    score.correct += u64::from(is_same_class(label, &truth.to_string()));
                }
                (PredictedValue::Values(values), truth) => score.add_values(values, &truth.numbers()?)?,
                (PredictedValue::Class { .. }, Truth::Numbers(_)) => return None,
            }
        }
        Some(score)
    }

    /// All of these together.
    pub(super) fn sum<'score>(scores: impl IntoIterator<Item = &'score Self>) -> Self {
        let mut sum = Self::default();
        for score in scores {
            sum.classified += score.classified;
            sum.correct += score.correct;
            sum.values += score.values;
            sum.absolute_error += score.absolute_error;
        }
        sum
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

/// A class that looks like a number is one, however it is written: 7, 7.0 and "7.00" name the same class.
fn is_same_class(predicted: &str, truth: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    predicted == truth || number(predicted).is_some_and(|predicted| number(truth) == Some(predicted))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_looks_like_a_number_equals_it_however_it_is_written() {
        let is_correct = |class: &str, truth: Scalar| {
            let rows = [PredictedValue::Class { label: class.to_owned(), probability: 1.0 }];
            Score::of(&rows, &LabelValue::One(truth)).unwrap().correct == 1
        };
        let text = |text: &str| Scalar::Text(text.to_owned());
        assert!(is_correct("1.50", Scalar::Number(1.5)));
        assert!(is_correct("7", text("7.0")) && is_correct("7", Scalar::Integer(7)));
        assert!(is_correct("true", Scalar::Bool(true)) && is_correct("cat", text("cat")));
        assert!(!is_correct("7", Scalar::Number(7.5)) && !is_correct("cat", text("Cat")));
        assert!(!is_correct("cat", Scalar::Integer(7)) && !is_correct("1", Scalar::Bool(true)));
    }
}
