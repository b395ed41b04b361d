//! Other engines, in the same process and on the same thread.

mod onnx_runtime;
mod tract;

use std::path::{Path, PathBuf};

use ort::environment::Environment;

use self::onnx_runtime::OnnxRuntime;
use self::tract::Tract;
use crate::Error;
use crate::contender::{Contender, Engine};
use crate::models::Kind;
use crate::shapes::Shape;

/// The peers and the folder with their models.
pub(crate) struct Peers {
    environment: Environment,
    folder: PathBuf,
}

/// Peers with their names.
pub(crate) type Contenders = Vec<(Engine, Box<dyn Contender>)>;

/// What a peer runs.
#[derive(Clone, Copy)]
struct PeerBatch<'a> {
    rows: usize,
    /// `[rows, features]`.
    input: &'a [f32],
    /// The length of an output row.
    outputs: usize,
}

impl Peers {
    /// Loads the shared library of ONNX Runtime; tract is part of this program.
    pub(crate) fn load(library: &Path, folder: &Path) -> Result<Self, Error> {
        Ok(Self { environment: onnx_runtime::load(library)?, folder: folder.to_owned() })
    }

    /// Whoever can run a kind of a shape, on these rows.
    pub(crate) fn of(&self, shape: &Shape, kind: Kind, input: &[f32]) -> Result<Contenders, Error> {
        let rows = input.len() / shape.features();
        let batch = PeerBatch { rows, input, outputs: shape.outputs() };
        let path = |suffix: &str| self.folder.join(format!("{}.{suffix}.onnx", shape.name));
        // Nobody makes use of zeros or of smaller weights beside arithmetic in f32: there the peers run what they can.
        let (file, is_for_tract) = match kind {
            Kind::F32 | Kind::Bf16 | Kind::WeightOnlyInt8 | Kind::Pruned => (path("f32"), true),
            Kind::Int8 | Kind::PrunedInt8 => (path("int8"), false),
        };
        let mut peers: Contenders =
            vec![(Engine::OnnxRuntime, Box::new(OnnxRuntime::new(&self.environment, &file, batch)?))];
        if is_for_tract {
            peers.push((Engine::Tract, Box::new(Tract::new(&file, batch)?)));
        } else {
            peers.push((
                Engine::OnnxRuntimeExact,
                Box::new(OnnxRuntime::exact(&self.environment, &file, batch)?),
            ));
        }
        Ok(peers)
    }
}
