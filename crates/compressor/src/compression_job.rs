//! What is fetched and computed for one compression job.

use std::collections::BTreeMap;

use leat_compression::{CompressionData, Error, Progress, Work as Part, compress};
use leat_contract::{
    AssetRole, CompressSpec, DatasetRef, ErrorCode, JobKind, JobProgress, JobSpec, JobStatus, Manifest,
};
use leat_engine::Error as EngineError;
use leat_model::{Model, blob};
use leat_service_runtime::Context;
use leat_service_runtime::jobs::{Failure, Product, Pulse, Work, fetch};
use leat_training::{CsvOptions, Dataset, Error as TrainingError};

use crate::manifest::{Origin, describe};
use crate::steps::steps;
use crate::{Compressor, Settings, held_out, parent};

/// How compression jobs are done.
#[derive(Debug)]
pub(crate) struct CompressionJob {
    pub(crate) settings: Settings,
}

/// What a compression job is computed from.
#[derive(Debug)]
pub(crate) struct Input {
    spec: CompressSpec,
    parent: Manifest,
    dataset: DatasetRef,
    target: String,
    blob: Vec<u8>,
    table: Vec<u8>,
}

impl Work for CompressionJob {
    const KIND: JobKind = JobKind::Compress;
    const DESCRIPTION: &'static str = "compresses models and registers their versions";
    const SERVICE: &'static str = Compressor::SERVICE;

    type Input = Input;

    async fn gather(&self, job: &JobStatus, context: &Context) -> Result<Input, Failure> {
        let JobSpec::Compress(spec) = &job.spec else {
            return Err(Failure::refused(ErrorCode::InvalidArgument, "not a compression job"));
        };
        let parent = parent::find(spec, context).await?;
        let (dataset, target) = (parent::dataset(spec, &parent)?, parent::target(&parent)?);
        let (model_max, table_max) = (self.settings.model_bytes_max, self.settings.dataset_bytes_max);
        let blob = fetch(context, AssetRole::Models, &parent.digest, model_max).await?;
        let table = fetch(context, AssetRole::Datasets, &dataset.digest, table_max).await?;
        Ok(Input { spec: spec.clone(), parent, dataset, target, blob, table })
    }

    fn compute(input: Input, _resume: Option<Vec<u8>>, pulse: &mut Pulse) -> Result<Product, Failure> {
        let Input { spec, parent, dataset, target, blob, table } = input;
        let before = blob::read(&blob).map_err(|error| refused(error.into()))?;
        drop(blob);
        let options = CsvOptions { target, task: Some(before.task) };
        let data = Dataset::from_csv(&table, &options).map_err(|error| refused(error.into()))?;
        let table_digest = leat_model::Digest::of(&table);
        drop(table);
        let split = held_out::split(&before, &data, spec.seed).map_err(|error| refused(error.into()))?;
        drop(data);
        let parent_digest =
            parent.digest.as_str().parse().map_err(|error: leat_model::Error| refused(error.into()))?;
        let rows = CompressionData {
            train: &split.train,
            held_out: &split.held_out,
            seed: spec.seed,
            parent: Some(parent_digest),
            data: Some(table_digest),
        };
        let mut tell = |part: Progress| pulse.progress(progress(part));
        let after = compress(before.clone(), &steps(&spec.steps), &rows, &mut tell).map_err(refused)?;
        let origin = Origin { manifest: &parent, model: &before, dataset, held_out: &split.held_out };
        product(origin, &after)
    }
}

fn product(origin: Origin<'_>, model: &Model) -> Result<Product, Failure> {
    let blob = blob::write(model).map_err(|error| refused(error.into()))?;
    let manifest = describe(origin, model, &blob)?;
    Ok(Product { blob, manifest })
}

/// Whole steps, with the part of the step under way and the loss of training in the metrics.
fn progress(part: Progress) -> JobProgress {
    let step_is_done = part.work == Part::Evaluation && part.done == part.total;
    let mut metrics = BTreeMap::from([
        (format!("{}_done", part.work.unit()), part.done as f64),
        (format!("{}_total", part.work.unit()), part.total as f64),
    ]);
    metrics.extend(part.loss.filter(|loss| loss.is_finite()).map(|loss| ("loss".to_owned(), loss)));
    JobProgress {
        done: part.step as u64 + u64::from(step_is_done),
        total: part.steps as u64,
        unit: "step".to_owned(),
        metrics,
    }
}

/// Compression is a function of the job: what it refuses once it refuses always.
fn refused(error: Error) -> Failure {
    let code = match error {
        Error::Cancelled => return Failure::Stopped,
        // What the data asks of the model is not the model's fault.
        Error::Engine(EngineError::NotFinite { .. } | EngineError::Overflow { .. }) => {
            ErrorCode::InvalidArgument
        }
        Error::Training(TrainingError::Engine(
            EngineError::NotFinite { .. } | EngineError::Overflow { .. },
        )) => ErrorCode::InvalidArgument,
        Error::Json(_) | Error::Model(_) | Error::Engine(_) | Error::Training(TrainingError::Engine(_)) => {
            ErrorCode::Internal
        }
        _ => ErrorCode::InvalidArgument,
    };
    Failure::refused(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_when_its_outcome_is_measured() {
        let part = |work, done| Progress { step: 1, steps: 3, work, done, total: 4, loss: Some(0.5) };
        let tuning = progress(part(Part::FineTuning, 4));
        assert_eq!((tuning.done, tuning.total, tuning.unit.as_str()), (1, 3, "step"));
        assert_eq!(tuning.metrics["epochs_done"], 4.0);
        assert_eq!(tuning.metrics["loss"], 0.5);
        assert_eq!(progress(part(Part::Evaluation, 4)).done, 2);
    }
}
