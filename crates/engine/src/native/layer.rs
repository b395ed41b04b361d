use leat_kernels::{Activation, DenseF32, DenseU8, DenseU8Parts, Kernels, Quantization};
use leat_model::{ActivationQuantization, Dense, Encoding};

use crate::Error;

/// A packed layer.
pub(crate) enum Layer {
    /// Runs on rows of `f32`.
    Real(DenseF32),
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
            return Ok(Self::Real(DenseF32::pack(&dense.weights.to_f32(), &dense.bias, activation)));
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
            Self::Real(_) => None,
            Self::Integer(_, quantization) => Some(*quantization),
        }
    }

    /// The distance between the starts of two rows that come out.
    pub(crate) fn stride(&self) -> usize {
        match self {
            Self::Real(layer) => layer.stride(),
            Self::Integer(layer, _) => layer.stride(),
        }
    }

    /// The length of a row that comes out.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Real(layer) => layer.outputs(),
            Self::Integer(layer, _) => layer.outputs(),
        }
    }

    /// How many values or codes of a row are read.
    pub(crate) fn inputs_read(&self) -> usize {
        match self {
            Self::Real(layer) => layer.inputs(),
            Self::Integer(layer, _) => layer.padded_inputs(),
        }
    }
}

fn activation(activation: leat_model::Activation) -> Activation {
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
