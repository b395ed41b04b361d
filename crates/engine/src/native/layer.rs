use leat_kernels::{Activation, DenseU8, DenseU8Parts, Kernels, Quantization, SparseF32};
use leat_model::{ActivationQuantization, Dense, Encoding};

use super::stored::Stored;
use super::without_zeros::WithoutZeros;
use crate::Error;

/// Layers with a larger share of nonzero weights are not even tried without their zeros.
const DENSITY_MAX: f64 = 0.5;

/// A packed layer.
pub(crate) enum Layer {
    /// Runs on rows of `f32`, also without its zeros when that was measured to be faster.
    Real(Stored, Option<WithoutZeros>),
    /// Runs on rows of codes.
    Integer(DenseU8, Quantization),
}

impl Layer {
    /// Packs a layer of a valid network.
    pub(crate) fn pack(dense: &Dense, kernels: Kernels) -> Result<Self, Error> {
        let activation = activation(dense.activation);
        let (Encoding::Int8 { codes, scales }, Some(input)) =
            (&dense.weights.encoding, dense.input_quantization)
        else {
            let layer = Stored::pack(dense, activation, kernels);
            let has_many_zeros = dense.weights.nonzero() as f64 <= dense.weights.len() as f64 * DENSITY_MAX;
            let sparse =
                has_many_zeros.then(|| SparseF32::pack(&dense.weights.to_f32(), &dense.bias, activation));
            let sparse = sparse.and_then(|sparse| WithoutZeros::unless_slower(sparse, &layer, kernels));
            return Ok(Self::Real(layer, sparse));
        };
        if dense.inputs() > DenseU8::INPUTS_MAX {
            let (inputs, max) = (dense.inputs(), DenseU8::INPUTS_MAX);
            let what =
                format!("an integer layer of {inputs} inputs; more than {max} overflow its 32-bit sums");
            return Err(Error::Unsupported { what });
        }
        let input = quantization(input);
        let parts = DenseU8Parts { codes, scales, bias: &dense.bias, input, activation };
        Ok(Self::Integer(DenseU8::pack(&parts, kernels), input))
    }

    /// The quantization of the rows that go in, when the layer runs on integers.
    pub(crate) fn input_quantization(&self) -> Option<Quantization> {
        match self {
            Self::Real(..) => None,
            Self::Integer(_, quantization) => Some(*quantization),
        }
    }

    /// The layer without its zeros, when it runs so many rows faster that way.
    pub(crate) fn without_zeros(&self, rows: usize) -> Option<&WithoutZeros> {
        match self {
            Self::Real(_, Some(sparse)) if rows >= sparse.rows_min => Some(sparse),
            _ => None,
        }
    }

    /// What was chosen by measuring: `, 784-512 without zeros from 32 rows on`.
    pub(crate) fn describe_choice(&self) -> Option<String> {
        let Self::Real(stored, sparse) = self else { return None };
        let weights = stored.compact().map(|name| format!(" with {name} weights"));
        let sparse = sparse.as_ref().map(|sparse| format!(" without zeros from {} rows on", sparse.rows_min));
        let choice = weights.into_iter().chain(sparse).collect::<String>();
        let is_plain = choice.is_empty();
        (!is_plain).then(|| format!(", {}-{}{choice}", self.inputs_read(), self.outputs()))
    }

    /// How many values of working memory the layer needs beside its rows.
    pub(crate) fn workspace(&self) -> usize {
        self.without_zeros(usize::MAX).map_or(0, |sparse| sparse.layer.workspace())
    }

    /// The distance between the starts of two rows that come out.
    pub(crate) fn stride(&self) -> usize {
        match self {
            Self::Real(layer, _) => layer.stride(),
            Self::Integer(layer, _) => layer.stride(),
        }
    }

    /// The length of a row that comes out.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Real(layer, _) => layer.outputs(),
            Self::Integer(layer, _) => layer.outputs(),
        }
    }

    /// How many values or codes of a row are read.
    pub(crate) fn inputs_read(&self) -> usize {
        match self {
            Self::Real(layer, _) => layer.inputs(),
            Self::Integer(layer, _) => layer.padded_inputs(),
        }
    }
}

pub(crate) fn activation(activation: leat_model::Activation) -> Activation {
    match activation {
        leat_model::Activation::Identity => Activation::Identity,
        leat_model::Activation::Relu => Activation::Relu,
        leat_model::Activation::Tanh => Activation::Tanh,
        leat_model::Activation::Sigmoid => Activation::Sigmoid,
        leat_model::Activation::Gelu => Activation::Gelu,
    }
}

fn quantization(quantization: ActivationQuantization) -> Quantization {
    Quantization { scale: quantization.scale, zero_point: quantization.zero_point }
}
