//! Somebody who runs a model.

use std::num::NonZeroUsize;
use std::sync::Arc;

use leat_engine::{Batch, Plan, Scratch, Team, compile};
use leat_model::Model;
use serde::Serialize;

use crate::Error;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Engine {
    #[serde(rename = "leat")]
    Leat,
    /// We ourselves with the same model before it was pruned.
    #[serde(rename = "leat, not pruned")]
    LeatUnpruned,
    /// We ourselves on several threads.
    #[serde(rename = "leat, several threads")]
    LeatThreads,
    #[cfg_attr(not(feature = "peers"), allow(dead_code, reason = "only peers are it"))]
    #[serde(rename = "onnx runtime")]
    OnnxRuntime,
    /// Told to compute integer sums without saturating.
    #[cfg_attr(not(feature = "peers"), allow(dead_code, reason = "only peers are it"))]
    #[serde(rename = "onnx runtime, exact")]
    OnnxRuntimeExact,
    #[cfg_attr(not(feature = "peers"), allow(dead_code, reason = "only peers are it"))]
    #[serde(rename = "tract")]
    Tract,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leat => "leat",
            Self::LeatUnpruned => "leat, not pruned",
            Self::LeatThreads => "leat, several threads",
            Self::OnnxRuntime => "onnx runtime",
            Self::OnnxRuntimeExact => "onnx runtime, exact",
            Self::Tract => "tract",
        }
    }
}

/// One engine with one model and one batch.
pub(crate) trait Contender {
    /// Runs the batch once.
    fn run(&mut self) -> Result<(), Error>;

    /// What the last run gave, row-major.
    fn output(&mut self) -> Result<Vec<f32>, Error>;
}

/// Leat's engine.
pub(crate) struct Leat {
    plan: Arc<dyn Plan>,
    team: Team,
    rows: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    scratch: Scratch,
}

impl Leat {
    pub(crate) fn new(model: &Model, input: &[f32], threads: NonZeroUsize) -> Result<Self, Error> {
        let (plan, team): (Arc<dyn Plan>, _) = (compile(model)?.into(), Team::new(threads)?);
        let rows = input.len() / plan.features();
        let output = vec![0.0; rows * plan.outputs()];
        Ok(Self { plan, team, rows, input: input.to_vec(), output, scratch: Scratch::default() })
    }
}

impl Contender for Leat {
    fn run(&mut self) -> Result<(), Error> {
        let batch = Batch { rows: self.rows, input: &self.input, output: &mut self.output };
        Ok(self.team.run(&self.plan, batch, &mut self.scratch)?)
    }

    fn output(&mut self) -> Result<Vec<f32>, Error> {
        Ok(self.output.clone())
    }
}
