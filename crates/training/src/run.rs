use std::ops::ControlFlow;

use leat_model::{Network, Preprocessing};

use crate::{Dataset, EpochReport, Error, Fit, Recipe, Teacher, Trained};

/// Is told about each epoch and may stop training after it; then the outcome is [`Error::Stopped`].
pub type Observer<'a> = dyn FnMut(&EpochReport) -> ControlFlow<()> + 'a;

/// Trains a new network from start to end. See [`Fit::new`].
pub fn train(data: &Dataset, recipe: &Recipe, observer: &mut Observer<'_>) -> Result<Trained, Error> {
    run(Fit::new(data, recipe)?, observer)
}

/// Trains an existing network further, behind its own preprocessing and with its pruned weights kept at zero. See
/// [`Fit::continue_from`].
pub fn fine_tune(
    (network, preprocessing): (&Network, &Preprocessing),
    data: &Dataset,
    recipe: &Recipe,
    observer: &mut Observer<'_>,
) -> Result<Trained, Error> {
    run(Fit::continue_from(network, preprocessing, data, recipe)?, observer)
}

/// Trains a new network from a teacher and the truth. See [`Fit::distil`].
pub fn distil(
    data: &Dataset,
    recipe: &Recipe,
    teacher: &Teacher,
    observer: &mut Observer<'_>,
) -> Result<Trained, Error> {
    run(Fit::distil(data, recipe, teacher)?, observer)
}

fn run(mut fit: Fit, observer: &mut Observer<'_>) -> Result<Trained, Error> {
    while !fit.finished() {
        let report = fit.epoch()?;
        if observer(&report).is_break() {
            return Err(Error::Stopped { epoch: report.epoch });
        }
    }
    Ok(fit.finish())
}
