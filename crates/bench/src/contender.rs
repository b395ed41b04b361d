//! Somebody who runs a model.

use leat_engine::{Batch, Plan, Scratch, compile};
use leat_model::Model;

use crate::Error;

/// One engine with one model and one batch.
pub(crate) trait Contender {
    /// Runs the batch once.
    fn run(&mut self) -> Result<(), Error>;

    /// What the last run gave, row-major.
    fn output(&mut self) -> Result<Vec<f32>, Error>;
}

/// Leat's engine.
pub(crate) struct Leat {
    plan: Box<dyn Plan>,
    rows: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    scratch: Scratch,
}

impl Leat {
    pub(crate) fn new(model: &Model, input: &[f32]) -> Result<Self, Error> {
        let plan = compile(model)?;
        let rows = input.len() / plan.features();
        let output = vec![0.0; rows * plan.outputs()];
        Ok(Self { plan, rows, input: input.to_vec(), output, scratch: Scratch::default() })
    }
}

impl Contender for Leat {
    fn run(&mut self) -> Result<(), Error> {
        let batch = Batch { rows: self.rows, input: &self.input, output: &mut self.output };
        Ok(self.plan.run(batch, &mut self.scratch)?)
    }

    fn output(&mut self) -> Result<Vec<f32>, Error> {
        Ok(self.output.clone())
    }
}
