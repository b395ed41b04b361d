use crate::panel::{PANEL, of_panel, pad_to, padded};
use crate::{Activation, Output, Rows};

/// A dense layer on `f32`, packed for the kernels: `y = activation(W x + b)`.
///
/// Each output is the chain `fma(x[k], w[k], …)` over `k` from the first input to the last, started at the bias.
#[derive(Clone, Debug)]
pub struct DenseF32 {
    inputs: usize,
    outputs: usize,
    /// `[panels, inputs, PANEL]`; outputs past the last are zero.
    weights: Vec<f32>,
    /// Padded to whole panels.
    bias: Vec<f32>,
    activation: Activation,
}

impl DenseF32 {
    /// Packs `weights` (`[outputs, inputs]`, row-major) with one bias per output.
    ///
    /// # Panics
    /// When there is no input or no output, or `weights` does not have `outputs · inputs` values.
    pub fn pack(weights: &[f32], bias: &[f32], activation: Activation) -> Self {
        let outputs = bias.len();
        assert!(outputs > 0, "a layer has at least one output");
        let inputs = weights.len() / outputs;
        assert!(inputs > 0 && inputs * outputs == weights.len(), "weights are [outputs, inputs]");
        let mut packed = vec![0.0; padded(outputs) * inputs];
        for (output, row) in weights.chunks_exact(inputs).enumerate() {
            let panel = &mut packed[output / PANEL * PANEL * inputs..];
            for (input, &weight) in row.iter().enumerate() {
                panel[input * PANEL + output % PANEL] = weight;
            }
        }
        Self { inputs, outputs, weights: packed, bias: pad_to(bias, padded(outputs)), activation }
    }

    /// The length of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The length of a row that comes out, without padding.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The distance between the starts of two rows that come out.
    pub fn stride(&self) -> usize {
        self.bias.len()
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    pub(crate) fn panels(&self) -> usize {
        self.bias.len() / PANEL
    }

    /// The weights of one panel, `[inputs, PANEL]`.
    pub(crate) fn panel(&self, index: usize) -> &[f32] {
        let len = self.inputs * PANEL;
        &self.weights[index * len..][..len]
    }

    /// The biases of one panel.
    pub(crate) fn panel_bias(&self, index: usize) -> &[f32; PANEL] {
        of_panel(&self.bias, index)
    }

    pub(crate) fn check(&self, input: &Rows<'_, f32>, output: &Output<'_>) {
        assert!(input.holds(self.inputs), "input rows are shorter than the layer's inputs");
        assert!(output.len() >= input.count * self.stride(), "output is too short for the rows");
    }
}
