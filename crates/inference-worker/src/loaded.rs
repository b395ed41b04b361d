//! One version of a model in memory: its plan and everything that a request to it needs.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use leat_contract::{Digest, ModelName, ModelVersion, Pipeline, PipelineMode, PlainReplies, Route};
use leat_engine::{Batch, Plan, Scratch, Team};
use leat_model::{Body, Model, Signature, Task, blob};
use leat_pauses::pause;
use tracing::error;

use crate::Error;
use crate::meter::Meter;
use crate::pipeline::{self, Joined, Part};
use crate::residence::Residence;

/// Enough rows for the kernels that a plan has for large batches; more of them would warm nothing else and only take longer.
const WARM_ROWS_MAX: usize = 96;
/// Fewer when so many take longer than this.
const WARM_TIME: Duration = Duration::from_micros(200);

/// What a deployment wants of one route.
#[derive(Debug, Clone)]
pub(crate) struct Meant {
    pub(crate) model: ModelName,
    pub(crate) route: Route,
    pub(crate) pipeline: Option<Pipeline>,
}

/// A version that is ready to answer.
pub(crate) struct LoadedVersion {
    pub(crate) model: ModelName,
    pub(crate) version: ModelVersion,
    pub(crate) digest: Digest,
    pub(crate) task: Task,
    pub(crate) signature: Signature,
    /// What writes most of its replies.
    pub(crate) replies: PlainReplies,
    /// Whether the model has a value for missing features, so that NaN and absent columns are allowed.
    pub(crate) imputes: bool,
    /// The models that answer together with it.
    pub(crate) pipeline: Option<Pipeline>,
    pub(crate) plan: Residence,
    pub(crate) meter: Meter,
    /// The name of the runtime in metadata.
    pub(crate) platform: &'static str,
}

impl LoadedVersion {
    /// Compiles blobs, and runs the plan once with one row and once with as many as a run may have, as far as that is done soon, so that
    /// the first request finds code and weights in the caches. `blobs` are that of the route and those of the pipeline. There are pauses
    /// ([`leat_pauses`]) between.
    ///
    /// # Errors
    /// When a blob is not a model, or not one that the engine runs, or models do not fit together.
    pub(crate) fn build(meant: Meant, blobs: &[impl AsRef<[u8]>], rows_max: usize) -> Result<Self, Error> {
        let Meant { model, route, pipeline } = meant;
        let parts = blobs.iter().map(|blob| read(blob.as_ref()));
        let mut parts = parts.collect::<Result<Vec<Part>, Error>>()?;
        let first = parts.first().ok_or_else(|| Error::pipeline("it has no models"))?;
        let (imputes, platform) = (first.content.preprocessing.impute.is_some(), platform(&first.content));
        let mode = pipeline.as_ref().map(|pipeline| pipeline.mode);
        let joined = match (mode, parts.len()) {
            (None, 1) => alone(parts.remove(0)),
            (mode, _) => pipeline::join(mode.unwrap_or(PipelineMode::Sequence), parts)?,
        };
        let outputs = joined.signature.outputs.iter().map(|output| output.name.as_str());
        let replies = PlainReplies::new(&model, route.version, outputs);
        let version = Self {
            model,
            version: route.version,
            digest: route.digest,
            task: joined.task,
            signature: joined.signature,
            replies,
            imputes,
            pipeline,
            plan: Residence::new(joined.plan),
            meter: Meter::default(),
            platform,
        };
        version.warm_up(rows_max)?;
        Ok(version)
    }

    fn warm_up(&self, rows_max: usize) -> Result<(), Error> {
        let Some(plan) = self.plan.get() else { return Ok(()) };
        let (alone, mut scratch) = (Team::new(NonZeroUsize::MIN)?, Scratch::default());
        let rows_in_time = (WARM_TIME.as_nanos() as f64 / plan.row_ns().max(1.0)) as usize;
        let many = rows_in_time.min(WARM_ROWS_MAX).min(rows_max);
        for rows in [Some(1), Some(many).filter(|&many| many > 1)].into_iter().flatten() {
            let input = vec![0.0; rows * self.plan.features()];
            let mut output = vec![0.0; rows * self.plan.outputs()];
            let batch = Batch { rows, input: &input, output: &mut output };
            self.run(&plan, batch, &alone, &mut scratch)?;
            pause();
        }
        Ok(())
    }

    /// Runs a batch with the plan of this version. A plan that panics costs its requests an answer, never the worker its life.
    ///
    /// # Errors
    /// Those of the plan, and [`Error::Panicked`].
    pub(crate) fn run(
        &self,
        plan: &Arc<dyn Plan>,
        batch: Batch<'_>,
        team: &Team,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        // What a panic leaves half-written is thrown away: the outputs with the error, the buffers here.
        let ran = catch_unwind(AssertUnwindSafe(|| team.run(plan, batch, scratch)));
        let Ok(ran) = ran else {
            *scratch = Scratch::default();
            error!(version = ?self, "a plan panicked: this is a defect");
            return Err(Error::Panicked { version: self.model.at(self.version).to_string() });
        };
        Ok(ran?)
    }

    /// Whether this is the version that a route means, together with the same others.
    pub(crate) fn is(&self, meant: &Meant) -> bool {
        let Meant { model, route, pipeline } = meant;
        let is_of_route = self.version == route.version && self.digest == route.digest;
        self.model == *model && is_of_route && self.pipeline == *pipeline
    }

    /// What this is.
    pub(crate) fn meant(&self) -> Meant {
        let route = Route { version: self.version, digest: self.digest.clone(), weight: 0 };
        Meant { model: self.model.clone(), route, pipeline: self.pipeline.clone() }
    }
}

fn read(bytes: &[u8]) -> Result<Part, Error> {
    let content = blob::read(bytes)?;
    pause();
    let plan = leat_engine::compile(&content)?;
    Ok(Part { content, plan })
}

fn alone(part: Part) -> Joined {
    let Part { content, plan } = part;
    Joined { plan, signature: content.signature, task: content.task }
}

fn platform(content: &Model) -> &'static str {
    match content.body {
        Body::Network(_) => "leat_native",
        Body::Onnx(_) => "onnx",
    }
}

impl std::fmt::Debug for LoadedVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.model.at(self.version), self.plan.describe())
    }
}

#[cfg(test)]
pub(crate) mod tests;
