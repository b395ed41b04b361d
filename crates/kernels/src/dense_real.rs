use leat_pauses::{pause, spans};

use crate::panel::{PANEL, of_panel, pad_to, padded, row_stride};
use crate::weight::Weight;
use crate::{Activation, Aligned, Bf16, Output, Rows};

/// So many inputs of a panel are packed together: what they take stays in the first cache while one output after the other is put between
/// those that are there.
const PACKED_AT_ONCE: usize = 256;

/// A dense layer on rows of `f32`, packed for the kernels: `y = activation(W x + b)`.
///
/// Each output is the chain `fma(x[k], w[k], …)` over `k` from the first input to the last, started at the bias. How the weights are
/// stored decides what the layer weighs and how fast it comes from memory, not what it gives.
#[derive(Clone, Debug)]
pub struct DenseReal<W: Weight> {
    inputs: usize,
    outputs: usize,
    /// `[panels, inputs, PANEL]`; outputs past the last are zero.
    weights: Aligned<W>,
    /// Padded to whole panels, as the biases.
    scales: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

/// A layer whose weights are `f32`.
pub type DenseF32 = DenseReal<f32>;
/// A layer whose weights are the upper halves of `f32`.
pub type DenseBf16 = DenseReal<Bf16>;
/// A layer whose weights are codes of eight bits with a scale for each output.
pub type DenseI8 = DenseReal<i8>;

impl DenseReal<f32> {
    /// Packs `weights` (`[outputs, inputs]`, row-major) with one bias per output.
    ///
    /// # Panics
    /// When there is no input or no output, or `weights` does not have `outputs · inputs` values.
    pub fn pack(weights: &[f32], bias: &[f32], activation: Activation) -> Self {
        Self::pack_scaled(weights, &[1.0], bias, activation)
    }
}

impl<W: Weight> DenseReal<W> {
    /// Packs `weights` as [`DenseF32::pack`] does, with one scale for all of them, or one per output.
    ///
    /// # Panics
    /// As [`DenseF32::pack`], and when there is another number of scales.
    pub fn pack_scaled(weights: &[W], scales: &[f32], bias: &[f32], activation: Activation) -> Self {
        let outputs = bias.len();
        assert!(outputs > 0, "a layer has at least one output");
        let inputs = weights.len() / outputs;
        assert!(inputs > 0 && inputs * outputs == weights.len(), "weights are [outputs, inputs]");
        assert!(scales.len() == 1 || scales.len() == outputs, "one scale, or one per output");
        let scales: Vec<f32> = scales.iter().copied().cycle().take(outputs).collect();
        let mut packed = Aligned::new(padded(outputs) * inputs);
        let panels = packed.chunks_exact_mut(inputs * PANEL).zip(weights.chunks(inputs * PANEL));
        for (panel, weights) in panels {
            let (columns, _) = panel.as_chunks_mut::<PANEL>();
            for span in spans(inputs, PACKED_AT_ONCE) {
                for (place, row) in weights.chunks_exact(inputs).enumerate() {
                    for (column, &weight) in columns[span.clone()].iter_mut().zip(&row[span.clone()]) {
                        column[place] = weight;
                    }
                }
            }
            pause();
        }
        let (scales, bias) = (pad_to(&scales, padded(outputs)), pad_to(bias, padded(outputs)));
        Self { inputs, outputs, weights: packed, scales, bias, activation }
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
        row_stride(self.outputs)
    }

    /// How many bytes of memory the layer takes, padding included.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.weights) + size_of_val(&*self.scales) + size_of_val(&*self.bias)
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    /// How many panels of sixteen outputs it has, the last one padded.
    pub fn panels(&self) -> usize {
        self.bias.len() / PANEL
    }

    /// The weights of all panels.
    pub(crate) fn weights(&self) -> &[W] {
        &self.weights
    }

    /// The weights of one panel, `[inputs, PANEL]`.
    pub(crate) fn panel(&self, index: usize) -> &[[W; PANEL]] {
        &self.weights.as_chunks().0[index * self.inputs..][..self.inputs]
    }

    /// The biases of one panel.
    pub(crate) fn panel_bias(&self, index: usize) -> &[f32; PANEL] {
        of_panel(&self.bias, index)
    }

    /// The scales of one panel.
    pub(crate) fn panel_scales(&self, index: usize) -> &[f32; PANEL] {
        of_panel(&self.scales, index)
    }

    pub(crate) fn check(&self, input: &Rows<'_, f32>, output: &Output<'_>) {
        assert!(input.holds(self.inputs), "input rows are shorter than the layer's inputs");
        assert!(output.holds(input.count, self.stride()), "output is too short for the rows");
    }
}
