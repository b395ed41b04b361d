use std::path::Path;

use tract_onnx::prelude::*;

use crate::Error;
use crate::contender::Contender;

/// tract, optimised for one size of batch.
pub(super) struct Tract {
    plan: std::sync::Arc<TypedRunnableModel>,
    input: TValue,
    output: Vec<f32>,
}

impl Tract {
    pub(super) fn new(model: &Path, batch: super::PeerBatch<'_>) -> Result<Self, Error> {
        let super::PeerBatch { rows, input, .. } = batch;
        let features = input.len() / rows;
        let shape = [rows, features];
        let plan = tract_onnx::onnx()
            .model_for_path(model)
            .and_then(|model| model.with_input_fact(0, f32::fact(shape).into()))
            .and_then(|model| model.into_optimized())
            .and_then(|model| model.into_runnable())
            .map_err(|error| failed(&error))?;
        let input = Tensor::from_shape(&shape, input).map_err(|error| failed(&error))?;
        Ok(Self { plan, input: input.into(), output: Vec::new() })
    }

    fn outputs(&self) -> Result<TVec<TValue>, Error> {
        self.plan.run(tvec!(self.input.clone())).map_err(|error| failed(&error))
    }
}

impl Contender for Tract {
    fn run(&mut self) -> Result<(), Error> {
        self.outputs().map(drop)
    }

    fn output(&mut self) -> Result<Vec<f32>, Error> {
        let outputs = self.outputs()?;
        let view = outputs[0].to_plain_array_view::<f32>().map_err(|error| failed(&error))?;
        self.output = view.iter().copied().collect();
        Ok(self.output.clone())
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Peer { peer: "tract", reason: error.to_string() }
}
