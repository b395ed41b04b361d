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

/// The last third of the epochs takes steps this much smaller, so that the weights end in the middle of what they swing round;
/// there they also bear quantization better.
const SETTLING_EPOCHS_DIVISOR: u32 = 3;
/// See `SETTLING_EPOCHS_DIVISOR`.
const SETTLING_RATE: f64 = 0.2;

/// The share of the training rows that chooses the best epoch of a distillation, and from how many rows on there is one.
const VALIDATION_RATIO: f64 = 0.1;
const VALIDATED_ROWS_MIN: usize = 200;

/// Trains networks on the training rows.
pub(crate) struct Trainer<'a> {
    pub(crate) teacher: &'a Model,
    pub(crate) data: &'a Dataset,
    pub(crate) seed: u64,
    /// What no weight may exceed.
    pub(crate) weight_bound: Option<f32>,
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
        let data = transfer_set(self.teacher, self.data, self.seed)?;
        let teacher = Teacher::ask(self.teacher, &data, FINE_TUNE_TEMPERATURE, FINE_TUNE_ALPHA)?;
        let usual = Recipe::for_task(self.data.task());
        let moving = Recipe {
            seed: self.seed,
            weight_clip: self.weight_bound,
            // A bound on weights that are scaled back afterwards would bound nothing.
            standardise_target: usual.standardise_target && self.weight_bound.is_none(),
            ..usual
        };
        let settling = Recipe { learning_rate: moving.learning_rate * SETTLING_RATE, ..moving.clone() };
        let settling_epochs = epochs / SETTLING_EPOCHS_DIVISOR;
        let mut course = Course { work: Work::FineTuning, done: 0, total: epochs };
        let mut network = network.clone();
        for (recipe, epochs) in [(moving, epochs - settling_epochs), (settling, settling_epochs)] {
            if epochs > 0 {
                let recipe = Recipe { epochs, ..recipe };
                let fit = Fit::continue_from(&network, preprocessing, &data, &recipe)?;
                network = course.run(fit.with_teacher(&data, &teacher)?, reporter)?.network;
            }
        }
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
        let mut course = Course { work: Work::Distillation, done: 0, total: lesson.epochs };
        course.run(Fit::distil(self.data, &recipe, &teacher)?, reporter)
    }
}

/// All epochs of one step, which may be spread over several fits.
struct Course {
    work: Work,
    done: u32,
    total: u32,
}

impl Course {
    /// Runs the epochs of `fit`, reporting each.
    fn run(&mut self, mut fit: Fit, reporter: &mut Reporter<'_>) -> Result<Trained, Error> {
        reporter.report(self.work, self.done as usize, self.total as usize)?;
        while !fit.finished() {
            let report = fit.epoch()?;
            self.done += 1;
            let loss = report.validation_loss.unwrap_or(report.train_loss);
            reporter.report_loss(self.work, self.done as usize, self.total as usize, loss)?;
        }
        Ok(fit.finish())
    }
}
