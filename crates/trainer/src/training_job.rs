//! What is fetched and computed for one training job.

use std::collections::BTreeMap;

use leat_contract::{AssetRole, ErrorCode, JobKind, JobProgress, JobSpec, JobStatus, TrainSpec};
use leat_engine::Error as EngineError;
use leat_model::{Model, blob};
use leat_service_runtime::Context;
use leat_service_runtime::jobs::{Failure, Product, Pulse, Work, fetch};
use leat_training::{
    Assembly, Checkpoint, CsvOptions, Dataset, EpochReport, Error, Fit, Recipe, Split, Trained, build_model,
};
use tracing::warn;

use crate::{Trainer, manifest, recipe};

/// How training jobs are done.
#[derive(Debug)]
pub(crate) struct TrainingJob {
    pub(crate) dataset_bytes_max: u64,
}

/// What a training job is computed from.
#[derive(Debug)]
pub(crate) struct Input {
    spec: TrainSpec,
    table: Vec<u8>,
}

impl Work for TrainingJob {
    const KIND: JobKind = JobKind::Train;
    const DESCRIPTION: &'static str = "trains models and registers their versions";
    const SERVICE: &'static str = Trainer::SERVICE;

    type Input = Input;

    async fn gather(&self, job: &JobStatus, context: &Context) -> Result<Input, Failure> {
        let JobSpec::Train(spec) = &job.spec else {
            return Err(Failure::refused(ErrorCode::InvalidArgument, "not a training job"));
        };
        let digest = &spec.dataset.digest;
        let table = fetch(context, AssetRole::Datasets, digest, self.dataset_bytes_max).await?;
        Ok(Input { spec: spec.clone(), table })
    }

    fn compute(input: Input, resume: Option<Vec<u8>>, pulse: &mut Pulse) -> Result<Product, Failure> {
        let Input { spec, table } = input;
        let options = CsvOptions { target: spec.target.clone(), task: spec.task.map(recipe::task) };
        let data = Dataset::from_csv(&table, &options).map_err(refused)?;
        drop(table);
        let recipe = recipe::recipe(&spec, data.task())?;
        let split = data.split(spec.held_out_ratio, spec.seed).map_err(refused)?;
        drop(data);
        let trained = train(&split, &recipe, resume, pulse)?;
        if pulse.beat().is_break() {
            return Err(Failure::Stopped);
        }
        let model = assemble(&spec, trained, &split, &recipe)?;
        let blob = blob::write(&model).map_err(|error| refused(error.into()))?;
        let manifest = manifest::describe(&spec, &model, &blob, &split.held_out)?;
        Ok(Product { blob, manifest })
    }
}

/// Runs every epoch that is left, telling and saving on the way.
fn train(
    split: &Split,
    recipe: &Recipe,
    resume: Option<Vec<u8>>,
    pulse: &mut Pulse,
) -> Result<Trained, Failure> {
    let mut fit = begin(&split.train, recipe, resume)?;
    while !fit.finished() {
        let report = fit.epoch().map_err(refused)?;
        let goes_on = pulse.progress(progress(&report)).is_continue();
        if pulse.checkpoint_is_due() {
            pulse.checkpoint(report.epoch.into(), fit.checkpoint().encode().map_err(refused)?);
        }
        if !goes_on {
            return Err(Failure::Stopped);
        }
    }
    Ok(fit.finish())
}

/// Goes on from the checkpoint, or begins anew when it does not belong to this job.
fn begin(data: &Dataset, recipe: &Recipe, resume: Option<Vec<u8>>) -> Result<Fit, Failure> {
    if let Some(bytes) = resume {
        match Checkpoint::decode(&bytes).and_then(|checkpoint| Fit::resume(data, recipe, &checkpoint)) {
            Ok(fit) => return Ok(fit),
            Err(error) => warn!(%error, "training begins anew"),
        }
    }
    Fit::new(data, recipe).map_err(refused)
}

fn progress(report: &EpochReport) -> JobProgress {
    let mut metrics = BTreeMap::from([("train_loss".to_owned(), report.train_loss)]);
    metrics.extend(report.validation_loss.map(|loss| ("validation_loss".to_owned(), loss)));
    let (done, total) = (report.epoch.into(), report.epochs.into());
    JobProgress { done, total, unit: "epoch".to_owned(), metrics }
}

/// The lineage gets the ratio and the seed by which rows were held out, so that later steps can keep off them too.
fn assemble(spec: &TrainSpec, trained: Trained, split: &Split, recipe: &Recipe) -> Result<Model, Failure> {
    let digest =
        spec.dataset.digest.as_str().parse().map_err(|error: leat_model::Error| refused(error.into()))?;
    build_model(Assembly {
        name: spec.model.as_str(),
        trained,
        train: &split.train,
        held_out: &split.held_out,
        recipe,
        held_out_ratio: spec.held_out_ratio,
        data: Some(digest),
    })
    .map_err(refused)
}

/// Training is a function of the job: what it refuses once it refuses always.
fn refused(error: Error) -> Failure {
    let code = match error {
        // What the held-out rows ask of the model is not the engine's fault.
        Error::Engine(EngineError::NotFinite { .. } | EngineError::Overflow { .. }) => {
            ErrorCode::InvalidArgument
        }
        Error::Model(_) | Error::Engine(_) | Error::Checkpoint(_) | Error::Finished { .. } => {
            ErrorCode::Internal
        }
        _ => ErrorCode::InvalidArgument,
    };
    Failure::refused(code, error.to_string())
}
