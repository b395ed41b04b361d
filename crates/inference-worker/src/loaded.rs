//! One version of a model in memory: its plan and everything that a request to it needs.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use leat_contract::{Digest, ModelName, ModelVersion, Route};
use leat_engine::{Batch, Plan, Scratch, Team};
use leat_model::{Body, Model, Signature, Task, blob};
use tracing::error;

use crate::Error;
use crate::meter::Meter;
use crate::residence::Residence;

/// A version that is ready to answer.
pub(crate) struct LoadedVersion {
    pub(crate) model: ModelName,
    pub(crate) version: ModelVersion,
    pub(crate) digest: Digest,
    pub(crate) task: Task,
    pub(crate) signature: Signature,
    /// Whether the model has a value for missing features, so that NaN and absent columns are allowed.
    pub(crate) imputes: bool,
    pub(crate) plan: Residence,
    pub(crate) meter: Meter,
    /// The name of the runtime in metadata.
    pub(crate) platform: &'static str,
}

impl LoadedVersion {
    /// Checks a blob against the digest of its route, compiles it, and runs it once with one row and once with as many as
    /// a run may have, so that the first request finds warm caches and buffers of their final size.
    ///
    /// # Errors
    /// When the blob is not what was deployed, not a model, or not one that the engine runs.
    pub(crate) fn build(
        model: &ModelName,
        route: &Route,
        bytes: &[u8],
        rows_max: usize,
    ) -> Result<Self, Error> {
        let found = leat_model::Digest::of(bytes).to_string();
        if found != route.digest.as_str() {
            return Err(Error::Checksum { expected: route.digest.clone(), found });
        }
        let content = blob::read(bytes)?;
        let plan = leat_engine::compile(&content)?;
        let version = Self::new(model, route, content, Residence::new(plan, bytes.len()));
        version.warm_up(rows_max)?;
        Ok(version)
    }

    fn new(model: &ModelName, route: &Route, content: Model, plan: Residence) -> Self {
        let platform = match content.body {
            Body::Network(_) => "leat_native",
            Body::Onnx(_) => "onnx",
        };
        Self {
            model: model.clone(),
            version: route.version,
            digest: route.digest.clone(),
            task: content.task,
            imputes: content.preprocessing.impute.is_some(),
            signature: content.signature,
            plan,
            meter: Meter::default(),
            platform,
        }
    }

    fn warm_up(&self, rows_max: usize) -> Result<(), Error> {
        let Some(plan) = self.plan.get() else { return Ok(()) };
        let (alone, mut scratch) = (Team::new(NonZeroUsize::MIN)?, Scratch::default());
        for rows in [1, rows_max] {
            let input = vec![0.0; rows * self.plan.features()];
            let mut output = vec![0.0; rows * self.plan.outputs()];
            let batch = Batch { rows, input: &input, output: &mut output };
            self.run(plan.as_ref(), batch, &alone, &mut scratch)?;
        }
        Ok(())
    }

    /// Runs a batch with the plan of this version. A plan that panics costs its requests an answer, never the worker its life.
    ///
    /// # Errors
    /// Those of the plan, and [`Error::Panicked`].
    pub(crate) fn run(
        &self,
        plan: &dyn Plan,
        batch: Batch<'_>,
        team: &Team,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        // What a panic leaves half-written is thrown away: the outputs with the error, the buffers here.
        let ran = catch_unwind(AssertUnwindSafe(|| team.run(plan, batch, scratch)));
        let Ok(ran) = ran else {
            *scratch = Scratch::default();
            error!(version = ?self, "a plan panicked: this is a defect");
            return Err(Error::Panicked { version: format!("{}@{}", self.model, self.version) });
        };
        Ok(ran?)
    }

    /// Whether this is the version that a route means.
    pub(crate) fn is(&self, model: &ModelName, route: &Route) -> bool {
        self.model == *model && self.version == route.version && self.digest == route.digest
    }
}

impl std::fmt::Debug for LoadedVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}@{} {}", self.model, self.version, self.plan.describe())
    }
}

#[cfg(test)]
pub(crate) mod tests;
