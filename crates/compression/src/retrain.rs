//! Training in the service of compression: repairing a network after pruning, and teaching a smaller one.

use std::ops::ControlFlow;

use leat_model::{Activation, Model, Network, Preprocessing};
use leat_training::{Dataset, EarlyStopping, EpochReport, Recipe, Teacher, Trained};

use crate::progress::Reporter;
use crate::{Error, Work, layers};

/// The share of the training rows that chooses the best epoch, and from how many rows on there is one.
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
    /// Trains the weights that are left, `epochs` times over the rows, and keeps those of the best epoch. Masks hold.
    pub(crate) fn fine_tune(
        &self,
        (network, preprocessing): (&Network, &Preprocessing),
        epochs: u32,
        reporter: &mut Reporter<'_>,
    ) -> Result<Network, Error> {
        if epochs == 0 {
            return Ok(network.clone());
        }
        let recipe = self.recipe(epochs);
        let trained = watched(Work::FineTuning, epochs, reporter, |observer| {
            leat_training::fine_tune((network, preprocessing), self.data, &recipe, observer)
        })?;
        let mut network = trained.network;
        for layer in &mut network.layers {
            let values = layer.weights.to_f32();
            layers::store(layer, values);
        }
        Ok(network)
    }

    /// Trains a new network from the teacher's outputs and the truth. Its hidden layers have the activation of `like`'s.
    pub(crate) fn distil(&self, like: &Network, lesson: &Lesson<'_>, reporter: &mut Reporter<'_>) -> Result<Trained, Error> {
        let activation = match like.layers.as_slice() {
            [first, _, ..] => first.activation,
            _ => Activation::Relu,
        };
        let recipe = Recipe { hidden: lesson.hidden.to_vec(), activation, ..self.recipe(lesson.epochs) };
        let teacher = Teacher::ask(self.teacher, self.data, lesson.temperature as f32, lesson.alpha as f32)?;
        watched(Work::Distillation, lesson.epochs, reporter, |observer| {
            leat_training::distil(self.data, &recipe, &teacher, observer)
        })
    }

    fn recipe(&self, epochs: u32) -> Recipe {
        let rows_suffice = self.data.len() >= VALIDATED_ROWS_MIN;
        Recipe {
            epochs,
            seed: self.seed,
            early_stopping: rows_suffice.then_some(EarlyStopping {
                patience: epochs,
                min_delta: 0.0,
                validation_ratio: VALIDATION_RATIO,
            }),
            ..Recipe::for_task(self.data.task())
        }
    }
}

/// Runs `train` with an observer that reports every epoch and stops training when the caller wants it.
fn watched(
    work: Work,
    epochs: u32,
    reporter: &mut Reporter<'_>,
    train: impl FnOnce(&mut dyn FnMut(&EpochReport) -> ControlFlow<()>) -> Result<Trained, leat_training::Error>,
) -> Result<Trained, Error> {
    reporter.report(work, 0, epochs as usize)?;
    let trained = train(&mut |report| {
        let loss = report.validation_loss.unwrap_or(report.train_loss);
        match reporter.report_loss(work, report.epoch as usize, epochs as usize, loss) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    match trained {
        Err(leat_training::Error::Stopped { .. }) => Err(Error::Cancelled),
        trained => Ok(trained?),
    }
}
