mod encoding_summary;
mod validation;

use serde::{Deserialize, Serialize};

use crate::{Mask, Tensor};

/// A multilayer perceptron: dense layers applied one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// At least one layer; the inputs of each equal the outputs of the one before.
    pub layers: Vec<Dense>,
}

/// `y = activation(W x + b)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Weights, shape `[outputs, inputs]`.
    pub weights: Tensor,
    /// Bias, length `outputs`.
    pub bias: Vec<f32>,
    /// What is applied to each output.
    pub activation: Activation,
    /// Which weights survived pruning. The others are zero; the mask is kept so that later training leaves them at zero.
    pub mask: Option<Mask>,
    /// When set, the input of this layer is quantized to `u8` with this scale and the layer runs on integers.
    pub input_quantization: Option<ActivationQuantization>,
}

impl Network {
    /// The length of the vector that goes in; 0 without layers.
    pub fn features(&self) -> usize {
        self.layers.first().map_or(0, Dense::inputs)
    }

    /// The length of the vector that comes out; 0 without layers.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Dense::outputs)
    }

    /// How many weights and biases there are, pruned ones included.
    pub fn parameters(&self) -> u64 {
        self.sum(|layer| layer.weights.len().saturating_add(layer.bias.len()))
    }

    /// The bytes that weights (in their encoding), masks and biases take.
    pub fn parameter_bytes(&self) -> u64 {
        self.sum(|layer| {
            let mask = layer.mask.as_ref().map_or(0, |mask| mask.bits.len());
            layer.weights.byte_len() + mask + size_of_val(&*layer.bias)
        })
    }

    /// How many weights are not zero. Biases do not count.
    pub fn nonzero_weights(&self) -> u64 {
        self.sum(|layer| layer.weights.nonzero())
    }

    fn sum(&self, of_layer: impl Fn(&Dense) -> usize) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(of_layer(layer) as u64))
    }
}

impl Dense {
    /// The length of the vector that goes in.
    pub fn inputs(&self) -> usize {
        self.weights.shape.get(1).copied().unwrap_or(0)
    }

    /// The length of the vector that comes out.
    pub fn outputs(&self) -> usize {
        self.weights.shape.first().copied().unwrap_or(0)
    }
}

/// An element-wise function after a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x · Φ(x)` with Φ by the error function, not the tanh approximation (Hendrycks & Gimpel, 2016).
    Gelu,
}

/// Static affine quantization of a layer's input to `u8`: `q = clamp(round_half_even(x / scale) + zero_point, 0, 255)`
/// (Jacob et al., 2018; ONNX QuantizeLinear).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationQuantization {
    /// The width of one step, finite and above zero.
    pub scale: f32,
    /// The code that stands for zero.
    pub zero_point: u8,
}
