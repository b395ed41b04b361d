use leat_kernels::{Activation, Bf16, DenseBf16, DenseF32, DenseI8, Kernels, Output, Rows};
use leat_model::{Dense, Encoding};

use crate::measure::quickest_ns;

/// Being faster by less than this for a single row is no reason to unpack weights each time: large batches, which wait for no memory, pay
/// some hundredths for it. Where weights come from memory the gain is about two.
const GAIN_MIN: f64 = 1.5;

/// A dense layer on rows of `f32`, its weights stored in one way or another. What it gives does not depend on the way.
pub(crate) enum Stored {
    F32(DenseF32),
    Bf16(DenseBf16),
    I8(DenseI8),
}

impl Stored {
    /// Packs a layer of a valid network. Weights that the model stores in fewer bytes stay that small where reading less from memory
    /// is measured to gain more than unpacking costs; else they are expanded.
    pub(crate) fn pack(dense: &Dense, activation: Activation, kernels: Kernels) -> Self {
        let expanded = Self::F32(DenseF32::pack(&dense.weights.to_f32(), &dense.bias, activation));
        let small = match &dense.weights.encoding {
            Encoding::Bf16(values) => {
                let values: Vec<Bf16> = values.iter().map(|value| Bf16(value.to_bits())).collect();
                Self::Bf16(DenseBf16::pack_scaled(&values, &[1.0], &dense.bias, activation))
            }
            Encoding::Int8 { codes, scales } => {
                Self::I8(DenseI8::pack_scaled(codes, scales, &dense.bias, activation))
            }
            _ => return expanded,
        };
        if expanded.row_ns(kernels) / small.row_ns(kernels) >= GAIN_MIN { small } else { expanded }
    }

    /// Runs rows through the layer.
    pub(crate) fn run(&self, kernels: Kernels, input: Rows<'_, f32>, output: Output<'_>) {
        match self {
            Self::F32(layer) => kernels.dense_real(layer, input, output),
            Self::Bf16(layer) => kernels.dense_real(layer, input, output),
            Self::I8(layer) => kernels.dense_real(layer, input, output),
        }
    }

    /// The length of a row that goes in.
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Self::F32(layer) => layer.inputs(),
            Self::Bf16(layer) => layer.inputs(),
            Self::I8(layer) => layer.inputs(),
        }
    }

    /// The length of a row that comes out.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::F32(layer) => layer.outputs(),
            Self::Bf16(layer) => layer.outputs(),
            Self::I8(layer) => layer.outputs(),
        }
    }

    /// The distance between the starts of two rows that come out.
    pub(crate) fn stride(&self) -> usize {
        match self {
            Self::F32(layer) => layer.stride(),
            Self::Bf16(layer) => layer.stride(),
            Self::I8(layer) => layer.stride(),
        }
    }

    /// How the weights are stored, unless as `f32`.
    pub(crate) fn compact(&self) -> Option<&'static str> {
        match self {
            Self::F32(_) => None,
            Self::Bf16(_) => Some("bf16"),
            Self::I8(_) => Some("int8"),
        }
    }

    /// How long a single row takes.
    fn row_ns(&self, kernels: Kernels) -> f64 {
        let values = vec![0.5; self.inputs()];
        let input = Rows { values: &values, stride: self.inputs(), count: 1 };
        let mut output = vec![0.0; self.stride()];
        quickest_ns(|| self.run(kernels, input, Output::Values(&mut output)))
    }
}
