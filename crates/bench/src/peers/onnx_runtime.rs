use std::path::Path;

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use crate::Error;
use crate::contender::Contender;

/// Loads the shared library. Once in a process.
pub(super) fn load(library: &Path) -> Result<Environment, Error> {
    ort::init_from(library).map_err(|error| failed(&error))?.build().map_err(|error| failed(&error))
}

/// ONNX Runtime on one thread, its input and output bound to memory that is made once.
pub(super) struct OnnxRuntime {
    session: Session,
    binding: IoBinding,
    output: Vec<f32>,
}

impl OnnxRuntime {
    /// As it is by default: where the processor has no instruction that multiplies integers exactly, its sums saturate.
    pub(super) fn new(
        environment: &Environment,
        model: &Path,
        batch: super::PeerBatch<'_>,
    ) -> Result<Self, Error> {
        Self::bind(session(environment, model, "0")?, batch)
    }

    /// With integer sums that never saturate.
    pub(super) fn exact(
        environment: &Environment,
        model: &Path,
        batch: super::PeerBatch<'_>,
    ) -> Result<Self, Error> {
        Self::bind(session(environment, model, "1")?, batch)
    }

    fn bind(session: Session, batch: super::PeerBatch<'_>) -> Result<Self, Error> {
        let super::PeerBatch { rows, input, outputs } = batch;
        let features = input.len() / rows;
        let input = Tensor::from_array(([rows, features], input.to_vec())).map_err(|error| failed(&error))?;
        let output =
            Tensor::<f32>::new(session.allocator(), [rows, outputs]).map_err(|error| failed(&error))?;
        let mut binding = session.create_binding().map_err(|error| failed(&error))?;
        binding.bind_input("input", &input).map_err(|error| failed(&error))?;
        binding.bind_output("output", output).map_err(|error| failed(&error))?;
        Ok(Self { session, binding, output: Vec::new() })
    }
}

fn session(environment: &Environment, model: &Path, precision: &str) -> Result<Session, Error> {
    let builder = Session::builder(environment).map_err(|error| failed(&error))?;
    let builder = builder.with_intra_threads(1).map_err(|error| failed(&error))?;
    let builder = builder.with_inter_threads(1).map_err(|error| failed(&error))?;
    let builder =
        builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|error| failed(&error))?;
    let mut builder =
        builder.with_config_entry("session.x64quantprecision", precision).map_err(|error| failed(&error))?;
    builder.commit_from_file(model).map_err(|error| failed(&error))
}

impl Contender for OnnxRuntime {
    fn run(&mut self) -> Result<(), Error> {
        self.session.run_binding(&self.binding).map_err(|error| failed(&error))?;
        Ok(())
    }

    fn output(&mut self) -> Result<Vec<f32>, Error> {
        let outputs = self.session.run_binding(&self.binding).map_err(|error| failed(&error))?;
        let (_, values) = outputs["output"].try_extract_tensor::<f32>().map_err(|error| failed(&error))?;
        self.output = values.to_vec();
        Ok(self.output.clone())
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Peer { peer: "ONNX Runtime", reason: error.to_string() }
}
