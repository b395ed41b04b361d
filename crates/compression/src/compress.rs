use std::ops::ControlFlow;

use leat_model::{Body, Digest, Metrics, Model, Network, TrainingReport};
use leat_training::{Dataset, evaluate, reference_profile};

use crate::progress::Reporter;
use crate::report::{self, Outcome};
use crate::retrain::{Lesson, Trainer};
use crate::training_rows::TrainingRows;
use crate::{ClipMode, Error, Progress, Prune, Step, Work, clip, lineage, prune, quantize, sequence};

/// What steps learn from, and what they are measured on.
#[derive(Clone, Debug)]
pub struct CompressionData<'a> {
    /// The rows that calibrate, fine-tune and distil.
    pub train: &'a Dataset,
    /// The rows that only measure.
    pub held_out: &'a Dataset,
    /// The source of every random choice.
    pub seed: u64,
    /// The blob that the model was read from, for the lineage of the new one.
    pub parent: Option<Digest>,
    /// The table that the rows come from, for the lineage; none when it is the one of the model's own lineage. Only with that one
    /// are the held-out rows new to the model: of another table it may have seen any.
    pub data: Option<Digest>,
}

/// Takes `model` through `steps`, in order, and gives it back with one more [`leat_model::CompressionReport`] per step.
///
/// The lineage of the new model names `data.parent`, `data.data`, the steps on top of the parent's recipe, and `data.seed`. `progress` is called during
/// every step and stops the work by breaking. The same arguments give the same model, to the byte.
///
/// # Errors
/// Steps that are invalid or cannot follow each other are refused before any of them runs. See [`Error`] for the rest.
pub fn compress(
    model: Model,
    steps: &[Step],
    data: &CompressionData<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Model, Error> {
    sequence::check(network(&model)?, steps)?;
    model.validate()?;
    check_names(&model, data.train)?;
    let mut job = Job {
        metrics: evaluate(&model, data.held_out)?,
        model: model.clone(),
        original: model,
        data,
        weight_bound: None,
    };
    for (position, step) in steps.iter().enumerate() {
        let mut reporter = Reporter { step: position, steps: steps.len(), callback: progress };
        job.take(step, &mut reporter)?;
    }
    let mut model = job.model;
    model.lineage.parent.clone_from(&data.parent);
    if let Some(table) = &data.data
        && model.lineage.data.as_ref() != Some(table)
    {
        model.lineage.data = Some(table.clone());
        model.profile = Some(reference_profile(data.train));
    }
    model.lineage.recipe = lineage::recipe(&model.lineage.recipe, steps)?;
    model.lineage.seed = data.seed;
    env!("CARGO_PKG_VERSION").clone_into(&mut model.lineage.crate_version);
    model.validate()?;
    Ok(model)
}

/// A model on its way through the steps.
struct Job<'a> {
    model: Model,
    /// The metrics of `model` on the held-out rows.
    metrics: Metrics,
    /// The model as it came in, the teacher of all that is trained.
    original: Model,
    data: &'a CompressionData<'a>,
    /// The smallest bound that the weights were clamped to. What is trained afterwards keeps it.
    weight_bound: Option<f32>,
}

impl Job<'_> {
    /// Takes the model through one step, measures it and writes the report.
    fn take(&mut self, step: &Step, reporter: &mut Reporter<'_>) -> Result<(), Error> {
        let before = network(&self.model)?.clone();
        let outcome = self.apply(step, before.clone(), reporter)?;
        reporter.report(Work::Evaluation, 0, 1)?;
        self.model.body = Body::Network(outcome.network.clone());
        let after = evaluate(&self.model, self.data.held_out)?;
        if let Some(report) = outcome.training.clone() {
            let held_out_rows = self.data.held_out.len() as u64;
            self.model.training = Some(TrainingReport { held_out_rows, held_out: after.clone(), ..report });
        }
        let metrics = (std::mem::replace(&mut self.metrics, after.clone()), after);
        self.model.compression.push(report::compare(step.to_json()?, &before, &outcome, metrics));
        reporter.report(Work::Evaluation, 1, 1)
    }

    fn apply(
        &mut self,
        step: &Step,
        network: Network,
        reporter: &mut Reporter<'_>,
    ) -> Result<Outcome, Error> {
        let rows =
            TrainingRows { preprocessing: &self.model.preprocessing, rows: self.data.train.rows.view() };
        let trainer = Trainer {
            teacher: &self.original,
            data: self.data.train,
            seed: self.data.seed,
            weight_bound: self.weight_bound,
        };
        Ok(match *step {
            Step::Clip { mode, epsilon } => {
                if mode == ClipMode::Clamp {
                    self.weight_bound = Some(self.weight_bound.map_or(epsilon, |bound| bound.min(epsilon)));
                }
                Outcome::rewritten(clip::apply(network, mode, epsilon, reporter)?)
            }
            Step::Quantize(quantize) => {
                let (network, saturated) = quantize::apply(network, quantize, &rows, reporter)?;
                Outcome { saturated, ..Outcome::rewritten(network) }
            }
            Step::Prune(Prune::Threshold(threshold)) => {
                Outcome::rewritten(prune::by_threshold(network, threshold, reporter)?)
            }
            Step::Prune(Prune::Rate { rate, scope }) => {
                Outcome::rewritten(prune::by_rate(network, rate, scope, reporter)?)
            }
            Step::Prune(Prune::Blocks { rate, scope }) => {
                Outcome::rewritten(prune::by_blocks(network, rate, scope, reporter)?)
            }
            Step::Prune(Prune::L1Neurons { rate, fine_tune_epochs }) => {
                let narrow = prune::remove_neurons(network.clone(), rate, &rows, reporter)?;
                let preprocessing = &self.model.preprocessing;
                let tuned = trainer.fine_tune((&narrow, preprocessing), fine_tune_epochs, reporter)?;
                let changed = Some(report::removed_or_changed(&network, &narrow, &tuned));
                Outcome { changed, ..Outcome::trained(tuned) }
            }
            Step::FineTune { epochs } => Outcome::trained(trainer.fine_tune(
                (&network, &self.model.preprocessing),
                epochs,
                reporter,
            )?),
            Step::Distil { ref hidden, temperature, alpha, epochs } => {
                let lesson = Lesson { hidden, temperature, alpha, epochs };
                let student = trainer.distil(&network, &lesson, reporter)?;
                self.model.preprocessing = student.preprocessing;
                self.weight_bound = None;
                Outcome { training: Some(student.report), ..Outcome::trained(student.network) }
            }
        })
    }
}

fn network(model: &Model) -> Result<&Network, Error> {
    match &model.body {
        Body::Network(network) => Ok(network),
        Body::Onnx(_) => Err(Error::NotANetwork),
    }
}

/// Training would silently mix up features or classes that stand in another order.
fn check_names(model: &Model, data: &Dataset) -> Result<(), Error> {
    let labels = data.labels();
    let pairs =
        [("feature", &model.signature.features, &data.features), ("label", &model.signature.labels, &labels)];
    for (what, expected, found) in pairs {
        let length = expected.len().max(found.len());
        if let Some(position) = (0..length).find(|&position| expected.get(position) != found.get(position)) {
            let (expected, found) = (expected.get(position).cloned(), found.get(position).cloned());
            return Err(Error::DataMismatch { what, position, expected, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
