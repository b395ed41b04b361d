use std::collections::HashMap;

use leat_engine::{Batch, Scratch, compile};
use leat_model::{Metrics, Model};
use ndarray::{Array2, ArrayView2, s};

use crate::{Dataset, Error, Target, metrics};

/// Rows that go through the engine at once.
const BATCH_ROWS: usize = 256;

/// Measures a model on data with the same columns, through the engine that serves it: see [`metrics::classification`] and
/// [`metrics::regression`]. Class labels are matched by name, so the data may know them in another order or only some of them.
///
/// Fails when task, columns or labels do not fit, or when a prediction is not finite.
pub fn evaluate(model: &Model, data: &Dataset) -> Result<Metrics, Error> {
    if model.task != data.task() {
        return Err(Error::Task { expected: model.task, found: data.task() });
    }
    if model.signature.features != data.features {
        return Err(Error::Mismatch(first_difference(&model.signature.features, &data.features)));
    }
    let predictions = predict(model, data.rows.view())?;
    match &data.target {
        Target::Classes { labels, indices } => {
            let positions = label_positions(&model.signature.labels, labels)?;
            let truth: Vec<usize> =
                indices.iter().filter_map(|&index| positions.get(index).copied()).collect();
            Ok(metrics::classification(predictions.view(), &truth))
        }
        Target::Values(values) if values.dim() == predictions.dim() => {
            Ok(metrics::regression(predictions.view(), values.view()))
        }
        Target::Values(values) => Err(Error::Mismatch(format!(
            "targets have shape {:?}, predictions {:?}",
            values.dim(),
            predictions.dim()
        ))),
    }
}

/// What the engine answers for each raw row, `[rows, outputs]`: probabilities of the classes, or predictions.
///
/// Fails when the engine refuses the model or a row, or when an answer is not finite.
pub fn predict(model: &Model, rows: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
    let plan = compile(model)?;
    if rows.ncols() != plan.features() {
        return Err(Error::Mismatch(format!(
            "rows have {} features, expected {}",
            rows.ncols(),
            plan.features()
        )));
    }
    let outputs = plan.outputs();
    let mut scratch = Scratch::default();
    let mut answers = Vec::with_capacity(rows.nrows() * outputs);
    for start in (0..rows.nrows()).step_by(BATCH_ROWS) {
        let end = rows.nrows().min(start + BATCH_ROWS);
        let input: Vec<f32> = rows.slice(s![start..end, ..]).iter().copied().collect();
        let done = answers.len();
        answers.resize(done + (end - start) * outputs, 0.0);
        let batch = Batch { rows: end - start, input: &input, output: &mut answers[done..] };
        plan.run(batch, &mut scratch)?;
    }
    if let Some(position) = answers.iter().position(|value| !value.is_finite()) {
        return Err(Error::Prediction { row: position / outputs });
    }
    Array2::from_shape_vec((rows.nrows(), outputs), answers)
        .map_err(|error| Error::Mismatch(error.to_string()))
}

/// For each label of the data its position among those of the model.
fn label_positions(model: &[String], data: &[String]) -> Result<Vec<usize>, Error> {
    let known: HashMap<&str, usize> = model.iter().map(String::as_str).zip(0..).collect();
    let position = |label: &String| {
        let unknown = || Error::Mismatch(format!("the model does not know the class {label:?}"));
        known.get(label.as_str()).copied().ok_or_else(unknown)
    };
    data.iter().map(position).collect()
}

fn first_difference(expected: &[String], found: &[String]) -> String {
    match expected.iter().zip(found).find(|(expected, found)| expected != found) {
        Some((expected, found)) => format!("expected the feature {expected:?}, found {found:?}"),
        None => format!("expected {} features, found {}", expected.len(), found.len()),
    }
}
