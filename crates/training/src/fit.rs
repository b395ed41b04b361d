use leat_model::{Digest, Mask, Network, Preprocessing, Task, TrainingReport};
use ndarray::Array2;

use crate::backpropagation::Workspace;
use crate::checkpoint::{Checkpoint, Progress};
use crate::dataset::{Parts, divide};
use crate::early_stopping::Best;
use crate::loss::{Objective, Truth};
use crate::optimiser::Moments;
use crate::parameters::Parameters;
use crate::prepare::{TargetScaling, apply_preprocessing, learn_preprocessing};
use crate::random::{Purpose, Random};
use crate::{BatchSize, Dataset, Error, Loss, Recipe, Target, Teacher};

mod job;

/// Training in progress, one epoch at a time. Between two epochs it can be stored as a [`Checkpoint`] or given up.
///
/// It runs on the calling thread and depends on nothing but its arguments: the same data, recipe and seed give the same bytes on the
/// same kind of processor.
#[derive(Debug)]
pub struct Fit {
    recipe: Recipe,
    job: Digest,
    /// Prepared rows, `[rows, features]`.
    inputs: Array2<f32>,
    objective: Objective,
    parts: Parts,
    preprocessing: Preprocessing,
    scaling: Option<TargetScaling>,
    parameters: Parameters,
    masks: Vec<Option<Mask>>,
    /// Positions in the parameters that the masks keep at zero.
    frozen: Vec<usize>,
    progress: Progress,
    workspace: Workspace,
}

/// What one epoch did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: u32,
    /// The most epochs there will be.
    pub epochs: u32,
    /// The mean loss over the epoch, measured on each batch before its step.
    pub train_loss: f64,
    /// The mean loss on the rows set aside, after the epoch; none without early stopping.
    pub validation_loss: Option<f64>,
    /// Whether the weights after this epoch are the ones to keep so far.
    pub improved: bool,
}

/// What training gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The network; for regression in the unit of the data.
    pub network: Network,
    /// What happens to a raw row before the network.
    pub preprocessing: Preprocessing,
    /// How training went. `held_out_rows` and `held_out` are still empty; [`crate::build_model`] fills them.
    pub report: TrainingReport,
}

impl Fit {
    /// Prepares training from scratch.
    ///
    /// Fails when the data set or recipe is invalid, or when the loss does not fit the task.
    pub fn new(data: &Dataset, recipe: &Recipe) -> Result<Self, Error> {
        let parts = checked_parts(data, recipe)?;
        let preprocessing = learn_preprocessing(data, &parts.kept, recipe);
        let parameters = Parameters::initial(data.features.len(), data.outputs(), recipe)?;
        Self::assemble(data, recipe, Start { parts, preprocessing, parameters, masks: Vec::new() }, None)
    }

    /// Goes on from a checkpoint of [`Fit::new`] with the same data and recipe.
    ///
    /// Fails as [`Fit::new`] and [`Fit::restore`] do.
    pub fn resume(data: &Dataset, recipe: &Recipe, checkpoint: &Checkpoint) -> Result<Self, Error> {
        Self::new(data, recipe)?.restore(checkpoint)
    }

    /// Takes over the state of an earlier run that was prepared in the same way.
    ///
    /// Fails when the checkpoint belongs to other data, another recipe, start or teacher, or contradicts itself.
    pub fn restore(mut self, checkpoint: &Checkpoint) -> Result<Self, Error> {
        if checkpoint.job != self.job {
            return Err(Error::Checkpoint(
                "it belongs to other data, another recipe or another start".to_owned(),
            ));
        }
        if checkpoint.epoch > self.recipe.epochs {
            return Err(Error::Checkpoint(format!("it is after the last epoch {}", self.recipe.epochs)));
        }
        self.progress = checkpoint.progress(&self.progress, self.parameters.values.len())?;
        self.parameters.values.copy_from_slice(&checkpoint.parameters);
        Ok(self)
    }

    /// Prepares further training of an existing network behind its own preprocessing; `hidden`, `activation` and `standardise` of
    /// the recipe have no effect. Weights that a mask has pruned stay zero, and so do their moments. Encoded weights are expanded,
    /// and quantization of layer inputs is dropped, because it was calibrated for the old weights.
    ///
    /// Fails when the network does not fit the data, or as [`Fit::new`] does.
    pub fn continue_from(
        network: &Network,
        preprocessing: &Preprocessing,
        data: &Dataset,
        recipe: &Recipe,
    ) -> Result<Self, Error> {
        let parts = checked_parts(data, recipe)?;
        let mut parameters = Parameters::of_network(network)?;
        let (found, expected) =
            ((parameters.inputs(), parameters.outputs()), (data.features.len(), data.outputs()));
        if found != expected {
            return Err(Error::Mismatch(format!(
                "network takes and gives {found:?} values, data {expected:?}"
            )));
        }
        if let Some(scaling) = TargetScaling::learn(data, &parts.kept, recipe) {
            scaling.take_out_of(&mut parameters);
        }
        let masks = network.layers.iter().map(|layer| layer.mask.clone()).collect();
        let preprocessing = preprocessing.clone();
        Self::assemble(data, recipe, Start { parts, preprocessing, parameters, masks }, None)
    }

    /// Prepares training of a new network, built by the recipe, from the truth and a teacher.
    ///
    /// Fails when the teacher's outputs do not fit the data, or as [`Fit::new`] does.
    pub fn distil(data: &Dataset, recipe: &Recipe, teacher: &Teacher) -> Result<Self, Error> {
        let parts = checked_parts(data, recipe)?;
        teacher.validate(data)?;
        let preprocessing = learn_preprocessing(data, &parts.kept, recipe);
        let parameters = Parameters::initial(data.features.len(), data.outputs(), recipe)?;
        Self::assemble(
            data,
            recipe,
            Start { parts, preprocessing, parameters, masks: Vec::new() },
            Some(teacher),
        )
    }

    /// Adds a teacher to [`Fit::continue_from`], so that the network learns from it beside the truth. `data` are the same rows.
    ///
    /// Fails when the teacher's outputs do not fit the data.
    pub fn with_teacher(mut self, data: &Dataset, teacher: &Teacher) -> Result<Self, Error> {
        teacher.validate(data)?;
        self.objective.soft = Some(teacher.soft_targets(data.task(), self.scaling.as_ref()));
        Ok(self)
    }

    fn assemble(
        data: &Dataset,
        recipe: &Recipe,
        start: Start,
        teacher: Option<&Teacher>,
    ) -> Result<Self, Error> {
        let Start { parts, preprocessing, mut parameters, masks } = start;
        let inputs = apply_preprocessing(&preprocessing, &data.rows);
        if let Some(position) = inputs.iter().position(|value| !value.is_finite()) {
            let (row, column) = (position / inputs.ncols(), position % inputs.ncols());
            let feature = &data.features[column];
            return Err(Error::Data(format!(
                "feature {feature:?} of row {row} is not finite after preprocessing"
            )));
        }
        let frozen = frozen_positions(&parameters, &masks);
        frozen.iter().for_each(|&position| parameters.values[position] = 0.0);
        let scaling = TargetScaling::learn(data, &parts.kept, recipe);
        let objective = Objective {
            loss: recipe.loss,
            truth: truth(&data.target, scaling.as_ref()),
            soft: teacher.map(|teacher| teacher.soft_targets(data.task(), scaling.as_ref())),
        };
        let job = job::digest(
            data,
            recipe,
            &job::Start { parameters: &parameters.values, frozen: &frozen, teacher },
        )?;
        let batch_rows = match recipe.batch {
            BatchSize::Mini(rows) => rows.min(parts.kept.len()),
            BatchSize::Full => parts.kept.len(),
        };
        Ok(Self {
            job,
            progress: Progress {
                epoch: 0,
                train_loss: 0.0,
                moments: Moments::new(recipe.optimiser, parameters.values.len()),
                best: Best::default(),
            },
            workspace: Workspace::new(&parameters, batch_rows),
            recipe: recipe.clone(),
            inputs,
            objective,
            parts,
            preprocessing,
            scaling,
            parameters,
            masks,
            frozen,
        })
    }

    /// Runs the next epoch.
    ///
    /// Fails with [`Error::Diverged`] when a number leaves the finite ones, and with [`Error::Finished`] when there is no next epoch.
    pub fn epoch(&mut self) -> Result<EpochReport, Error> {
        if self.finished() {
            return Err(Error::Finished { epoch: self.progress.epoch });
        }
        let epoch = self.progress.epoch + 1;
        let diverged = |what| Error::Diverged { epoch, what };
        let train_loss = self.pass(epoch)?;
        if self.parameters.values.iter().any(|value| !value.is_finite()) {
            return Err(diverged("a weight"));
        }
        self.progress.epoch = epoch;
        self.progress.train_loss = train_loss;
        let mut report = EpochReport {
            epoch,
            epochs: self.recipe.epochs,
            train_loss,
            validation_loss: None,
            improved: true,
        };
        if let Some(rule) = self.recipe.early_stopping {
            let rows = &self.parts.set_aside;
            let loss = self.workspace.loss(&self.parameters, &self.objective, &self.inputs, rows);
            if !loss.is_finite() {
                return Err(diverged("the validation loss"));
            }
            report.validation_loss = Some(loss);
            report.improved = self.progress.best.observe(rule, epoch, loss, &self.parameters.values);
        }
        Ok(report)
    }

    /// Whether there is no further epoch to run: the last one is done, or validation has stopped improving.
    pub fn finished(&self) -> bool {
        let is_exhausted = |rule| self.progress.best.is_exhausted(rule);
        self.progress.epoch >= self.recipe.epochs || self.recipe.early_stopping.is_some_and(is_exhausted)
    }

    /// The state after the last epoch, for [`Fit::resume`].
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.job.clone(), &self.parameters.values, &self.progress)
    }

    /// Ends training, also before [`Fit::finished`], and gives the best weights so far (without early stopping: the last).
    pub fn finish(self) -> Trained {
        let Progress { epoch, train_loss, best, .. } = self.progress;
        let mut parameters = self.parameters;
        if best.epoch > 0 {
            parameters.values.copy_from_slice(&best.parameters);
        }
        if let Some(scaling) = &self.scaling {
            scaling.fold_into(&mut parameters);
        }
        let report = TrainingReport {
            train_rows: self.parts.kept.len() as u64,
            epochs: epoch,
            best_epoch: if best.epoch > 0 { best.epoch } else { epoch },
            stopped_early: self.recipe.early_stopping.is_some_and(|rule| best.is_exhausted(rule)),
            train_loss,
            ..TrainingReport::default()
        };
        Trained { network: parameters.to_network(&self.masks), preprocessing: self.preprocessing, report }
    }

    /// One pass over the rows; gives the mean loss.
    fn pass(&mut self, epoch: u32) -> Result<f64, Error> {
        let mut order = self.parts.kept.clone();
        let batch_rows = match self.recipe.batch {
            BatchSize::Full => order.len(),
            BatchSize::Mini(rows) => {
                Random::new(self.recipe.seed, Purpose::Epoch(epoch)).shuffle(&mut order);
                rows
            }
        };
        let mut total = 0.0;
        for rows in order.chunks(batch_rows) {
            let loss =
                self.workspace.loss_and_gradient(&self.parameters, &self.objective, &self.inputs, rows);
            if !loss.is_finite() {
                return Err(Error::Diverged { epoch, what: "the loss" });
            }
            self.step();
            total += loss * rows.len() as f64;
        }
        Ok(total / order.len() as f64)
    }

    /// Moves the weights by the gradient in the workspace. A pruned weight has no gradient, hence no moments, and stays zero.
    fn step(&mut self) {
        let gradient = &mut self.workspace.gradient;
        self.frozen.iter().for_each(|&position| gradient[position] = 0.0);
        let Recipe { optimiser, learning_rate, .. } = self.recipe;
        self.progress.moments.step(optimiser, learning_rate, gradient, &mut self.parameters.values);
        if let Some(bound) = self.recipe.weight_clip {
            self.parameters.clip(bound);
        }
    }
}

/// Where training starts.
struct Start {
    parts: Parts,
    preprocessing: Preprocessing,
    parameters: Parameters,
    masks: Vec<Option<Mask>>,
}

/// Checks data and recipe and sets the validation rows aside.
fn checked_parts(data: &Dataset, recipe: &Recipe) -> Result<Parts, Error> {
    data.validate()?;
    recipe.validate()?;
    if data.task() == Task::Regression && recipe.loss == Loss::CrossEntropy {
        return Err(Error::Recipe {
            setting: "loss",
            problem: "is cross_entropy, which needs classes".to_owned(),
        });
    }
    match recipe.early_stopping {
        None => Ok(Parts { kept: (0..data.len()).collect(), set_aside: Vec::new() }),
        Some(rule) => {
            let random = Random::new(recipe.seed, Purpose::Validation);
            divide(&data.target, data.len(), rule.validation_ratio, random)
        }
    }
}

fn truth(target: &Target, scaling: Option<&TargetScaling>) -> Truth {
    match target {
        Target::Classes { indices, .. } => Truth::Classes(indices.clone()),
        Target::Values(values) => Truth::Values(match scaling {
            Some(scaling) => scaling.apply(values),
            None => values.clone(),
        }),
    }
}

fn frozen_positions(parameters: &Parameters, masks: &[Option<Mask>]) -> Vec<usize> {
    let masked = parameters.layers.iter().zip(masks);
    masked
        .filter_map(|(layer, mask)| mask.as_ref().map(|mask| (layer, mask)))
        .flat_map(|(layer, mask)| {
            let pruned = (0..layer.weights.len()).filter(|&index| !mask.get(index));
            pruned.map(|index| layer.weights.start + index)
        })
        .collect()
}

#[cfg(test)]
mod tests;
