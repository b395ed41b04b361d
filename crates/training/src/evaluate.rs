use std::collections::HashMap;

use leat_engine::{Batch, Plan, Scratch, compile};
use leat_model::{Metrics, Model};
use ndarray::{Array2, ArrayView2, s};

use crate::metrics::{ClassFigures, ErrorFigures};
use crate::parameters::matrix;
use crate::{Dataset, Error, Target};

/// Rows that go through the engine at once.
const BATCH_ROWS: usize = 256;

/// Measures a model on data with the same columns, through the engine that serves it: see [`crate::metrics::classification`] and
/// [`crate::metrics::regression`]. Class labels are matched by name, so the data may know them in another order or only some of them.
///
/// Fails when task, columns or labels do not fit, or when a prediction is not finite.
pub fn evaluate(model: &Model, data: &Dataset) -> Result<Metrics, Error> {
    if model.task != data.task() {
        return Err(Error::Task { expected: model.task, found: data.task() });
    }
    if model.signature.features != data.features {
        return Err(Error::Mismatch(first_difference(&model.signature.features, &data.features)));
    }
    let plan = compile(model)?;
    match &data.target {
        Target::Classes { labels, indices } => {
            let positions = label_positions(&model.signature.labels, labels)?;
            let mut figures = ClassFigures::new(plan.outputs());
            run(plan.as_ref(), data.rows.view(), |start, answers| {
                let truth = indices.iter().skip(start).filter_map(|&index| positions.get(index).copied());
                figures.add(answers, truth);
            })?;
            Ok(figures.finish())
        }
        Target::Values(values) if values.dim() == (data.len(), plan.outputs()) => {
            let mut figures = ErrorFigures::new(plan.outputs());
            run(plan.as_ref(), data.rows.view(), |start, answers| {
                figures.add(answers, values.slice(s![start..start + answers.nrows(), ..]));
            })?;
            Ok(figures.finish(values.view()))
        }
        Target::Values(values) => Err(Error::Mismatch(format!(
            "targets have shape {:?}, predictions {:?}",
            values.dim(),
            (data.len(), plan.outputs())
        ))),
    }
}

/// What the engine answers for each raw row, `[rows, outputs]`: probabilities of the classes, or predictions.
///
/// Fails when the engine refuses the model or a row, or when an answer is not finite.
pub fn predict(model: &Model, rows: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
    let plan = compile(model)?;
    let mut predictions = Array2::zeros((rows.nrows(), plan.outputs()));
    run(plan.as_ref(), rows, |start, answers| {
        predictions.slice_mut(s![start..start + answers.nrows(), ..]).assign(&answers);
    })?;
    Ok(predictions)
}

/// Runs the rows batch by batch, so that the answers to all of them need not fit into memory, and shows `visit` the position of
/// the first row of each batch with the answers to it.
fn run(
    plan: &dyn Plan,
    rows: ArrayView2<'_, f32>,
    mut visit: impl FnMut(usize, ArrayView2<'_, f32>),
) -> Result<(), Error> {
    if rows.ncols() != plan.features() {
        return Err(Error::Mismatch(format!(
            "rows have {} features, expected {}",
            rows.ncols(),
            plan.features()
        )));
    }
    let outputs = plan.outputs();
    let mut scratch = Scratch::default();
    for start in (0..rows.nrows()).step_by(BATCH_ROWS) {
        let count = BATCH_ROWS.min(rows.nrows() - start);
        let input: Vec<f32> = rows.slice(s![start..start + count, ..]).iter().copied().collect();
        let mut answers = vec![0.0; count * outputs];
        plan.run(Batch { rows: count, input: &input, output: &mut answers }, &mut scratch)?;
        if let Some(position) = answers.iter().position(|value| !value.is_finite()) {
            return Err(Error::Prediction { row: start + position / outputs });
        }
        visit(start, matrix(&answers, count, outputs));
    }
    Ok(())
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
