//! Training in the service of compression: repairing a network after pruning, and teaching a smaller one.

use leat_model::{Activation, Model, Network, Preprocessing};
use leat_training::{Dataset, EarlyStopping, Fit, Recipe, Teacher, Trained};

use crate::progress::Reporter;
use crate::transfer_set::transfer_set;
use crate::{Error, Work, layers};

/// How fine-tuning listens to its teacher. Mild temperature, because the student begins close to it.
const FINE_TUNE_TEMPERATURE: f32 = 2.0;
/// See `FINE_TUNE_TEMPERATURE`.
const FINE_TUNE_ALPHA: f32 = 0.9;

/// The share of the training rows that chooses the best epoch of a distillation, and from how many rows on there is one.
const VALIDATION_RATIO: f64 = 0.1;
const VALIDATED_ROWS_MIN: usize = 200;

/// Trains networks on the training rows.
pub(crate) struct Trainer<'a> {
    pub(crate) teacher: &'a Model,
    pub(crate) data: &'a Dataset,
    pub(crate) seed: u64,
}

/// What a student is like and how it learns.
pub(crate) struct Lesson<'a> {
    pub(crate) hidden: &'a [usize],
    pub(crate) temperature: f64,
    pub(crate) alpha: f64,
    pub(crate) epochs: u32,
}

impl Trainer<'_> {
    /// Trains the weights that are left, `epochs` times over the rows, from the teacher and the truth. Masks hold.
    ///
    /// No rows are set aside to choose an epoch: the teacher keeps the network from over-fitting, and on small tables the rows
    /// are worth more as examples.
    pub(crate) fn fine_tune(
        &self,
        (network, preprocessing): (&Network, &Preprocessing),
        epochs: u32,
        reporter: &mut Reporter<'_>,
    ) -> Result<Network, Error> {
        if epochs == 0 {
            return Ok(network.clone());
        }
        let recipe = Recipe { epochs, seed: self.seed, ..Recipe::for_task(self.data.task()) };
        let data = transfer_set(self.teacher, self.data, self.seed)?;
        let teacher = Teacher::ask(self.teacher, &data, FINE_TUNE_TEMPERATURE, FINE_TUNE_ALPHA)?;
        let fit =
            Fit::continue_from(network, preprocessing, &data, &recipe)?.with_teacher(&data, &teacher)?;
        let mut network = run(fit, Work::FineTuning, epochs, reporter)?.network;
        for layer in &mut network.layers {
            let values = layer.weights.to_f32();
            layers::store(layer, values);
        }
        Ok(network)
    }

    /// Trains a new network from the teacher's outputs and the truth and keeps its best epoch. Its hidden layers have the
    /// activation of `like`'s.
    pub(crate) fn distil(
        &self,
        like: &Network,
        lesson: &Lesson<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<Trained, Error> {
        let activation = match like.layers.as_slice() {
            [first, _, ..] => first.activation,
            _ => Activation::Relu,
        };
        let rows_suffice = self.data.len() >= VALIDATED_ROWS_MIN;
        let validation =
            EarlyStopping { patience: lesson.epochs, min_delta: 0.0, validation_ratio: VALIDATION_RATIO };
        let recipe = Recipe {
            hidden: lesson.hidden.to_vec(),
            activation,
            epochs: lesson.epochs,
            seed: self.seed,
            early_stopping: rows_suffice.then_some(validation),
            ..Recipe::for_task(self.data.task())
        };
        let teacher = Teacher::ask(self.teacher, self.data, lesson.temperature as f32, lesson.alpha as f32)?;
        run(Fit::distil(self.data, &recipe, &teacher)?, Work::Distillation, lesson.epochs, reporter)
    }
}

/// Runs all epochs, reporting each.
fn run(mut fit: Fit, work: Work, epochs: u32, reporter: &mut Reporter<'_>) -> Result<Trained, Error> {
    reporter.report(work, 0, epochs as usize)?;
    while !fit.finished() {
        let report = fit.epoch()?;
        let loss = report.validation_loss.unwrap_or(report.train_loss);
        reporter.report_loss(work, report.epoch as usize, epochs as usize, loss)?;
    }
    Ok(fit.finish())
}
