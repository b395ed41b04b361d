//! The models that are run: weights from a file or from a seed, and what compression makes of them.

use std::ops::ControlFlow;
use std::path::Path;

use half::bf16;
use leat_compression::{Calibration, CompressionData, Prune, Quantize, Scope, Step, compress};
use leat_model::{
    Activation, Body, Dense, Encoding, Lineage, Model, Network, Preprocessing, Signature, Task, Tensor,
};
use leat_training::{Dataset, Target};
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Error;
use crate::shapes::Shape;

const SEED: u64 = 20_240_601;
/// Rows that calibrate.
const ROWS: usize = 64;
const PRUNED: f64 = 0.9;
const TARGET: &str = "y";

/// What is run of each shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Weights and arithmetic in `f32`.
    F32,
    /// Weights in `bf16`, arithmetic in `f32`.
    Bf16,
    /// Eight-bit integers, one scale per output.
    Int8,
    /// Weights of eight bits, arithmetic in `f32`.
    WeightOnlyInt8,
    /// `f32` with nine in ten weights removed.
    Pruned,
    /// Eight-bit integers after nine in ten blocks of four weights were removed.
    PrunedInt8,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::F32, Self::Bf16, Self::Int8, Self::WeightOnlyInt8, Self::Pruned, Self::PrunedInt8];

    /// Whether products are of integers.
    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::Int8 | Self::PrunedInt8)
    }

    /// The same with all its weights, for those that lost some.
    pub(crate) fn unpruned(self) -> Option<Self> {
        match self {
            Self::Pruned => Some(Self::F32),
            Self::PrunedInt8 => Some(Self::Int8),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::WeightOnlyInt8 => "int8 weights",
            Self::Pruned => "pruned 90 %",
            Self::PrunedInt8 => "pruned int8",
        }
    }
}

/// The model of a shape in `f32`, from the weights in `folder` when there is one.
pub(crate) fn dense(shape: &Shape, folder: Option<&Path>) -> Result<Model, Error> {
    let parameters: usize = shape.layers().map(|(inputs, outputs)| (inputs + 1) * outputs).sum();
    let values = match folder {
        Some(folder) => read(&folder.join(format!("{}.weights", shape.name)), parameters)?,
        None => uniform(parameters, SEED),
    };
    let mut rest = values.as_slice();
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken.to_vec()
    };
    let count = shape.widths.len() - 1;
    let layer = |(index, (inputs, outputs)): (usize, (usize, usize))| Dense {
        weights: Tensor::f32(vec![outputs, inputs], take(inputs * outputs)),
        bias: take(outputs),
        activation: if index + 1 == count { Activation::Identity } else { Activation::Relu },
        mask: None,
        input_quantization: None,
    };
    let layers = shape.layers().enumerate().map(layer).collect();
    Ok(model(shape, Network { layers }))
}

/// What compression makes of a model.
pub(crate) fn compressed(model: &Model, kind: Kind) -> Result<Model, Error> {
    let step = match kind {
        Kind::F32 => return Ok(model.clone()),
        Kind::Bf16 => {
            return Ok(with_layers(model, |layer| {
                let values = layer.weights.to_f32().into_iter().map(bf16::from_f32).collect();
                layer.weights.encoding = Encoding::Bf16(values);
            }));
        }
        Kind::WeightOnlyInt8 => {
            let quantized = compressed(model, Kind::Int8)?;
            return Ok(with_layers(&quantized, |layer| layer.input_quantization = None));
        }
        Kind::Int8 => Step::Quantize(Quantize::Int8 {
            calibration: Calibration::MinMax,
            per_channel: true,
            reduce_range: true,
        }),
        Kind::PrunedInt8 => {
            let blocks = Step::Prune(Prune::Blocks { rate: PRUNED, scope: Scope::PerLayer });
            return compressed(&stepped(model, blocks)?, Kind::Int8);
        }
        Kind::Pruned => Step::Prune(Prune::Rate { rate: PRUNED, scope: Scope::PerLayer }),
    };
    stepped(model, step)
}

fn stepped(model: &Model, step: Step) -> Result<Model, Error> {
    let rows = table(model);
    let data = CompressionData { train: &rows, held_out: &rows, seed: SEED, parent: None, data: None };
    Ok(compress(model.clone(), &[step], &data, &mut |_| ControlFlow::Continue(()))?)
}

fn with_layers(model: &Model, change: impl Fn(&mut Dense)) -> Model {
    let mut changed = model.clone();
    if let Body::Network(network) = &mut changed.body {
        network.layers.iter_mut().for_each(change);
    }
    changed
}

/// Random rows, `[count, features]`, between -1 and 1.
pub(crate) fn rows(count: usize, features: usize) -> Vec<f32> {
    uniform(count * features, SEED + 1)
}

fn model(shape: &Shape, network: Network) -> Model {
    let names = |prefix: &str, count: usize| (0..count).map(|index| format!("{prefix}{index}")).collect();
    let targets = match network.outputs() {
        1 => vec![TARGET.to_owned()],
        several => names(&format!("{TARGET}_"), several),
    };
    let signature = Signature::of_network(Task::Regression, names("x", network.features()), targets);
    Model {
        name: shape.name.to_owned(),
        task: Task::Regression,
        signature,
        preprocessing: Preprocessing::default(),
        body: Body::Network(network),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage { crate_version: env!("CARGO_PKG_VERSION").to_owned(), ..Lineage::default() },
    }
}

/// Rows to calibrate on. What they should give does not matter.
fn table(model: &Model) -> Dataset {
    let (features, targets) = (model.signature.features.len(), model.signature.labels.len());
    let values = rows(ROWS, features);
    Dataset {
        features: model.signature.features.clone(),
        rows: Array2::from_shape_fn((ROWS, features), |(row, column)| values[row * features + column]),
        target: Target::Values(Array2::from_shape_fn((ROWS, targets), |(row, column)| (row + column) as f32)),
        target_name: TARGET.to_owned(),
        has_missing: false,
    }
}

fn uniform(count: usize, seed: u64) -> Vec<f32> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let step = 2.0 / (1_u64 << 24) as f32;
    (0..count).map(|_| (generator.next_u32() >> 8) as f32 * step - 1.0).collect()
}

fn read(path: &Path, count: usize) -> Result<Vec<f32>, Error> {
    let failed = |reason: String| Error::File { path: path.display().to_string(), reason };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let (values, rest) = bytes.as_chunks::<4>();
    if values.len() != count || !rest.is_empty() {
        return Err(failed(format!("{} bytes, expected {}", bytes.len(), count * 4)));
    }
    Ok(values.iter().map(|&value| f32::from_le_bytes(value)).collect())
}
