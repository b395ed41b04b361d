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
    /// Which weights survived pruning. Kept so that later training leaves the others at zero.
    pub mask: Option<Mask>,
    /// When set, the input of this layer is quantized to `u8` with this scale and the layer runs on integers.
    pub input_quantization: Option<ActivationQuantization>,
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
