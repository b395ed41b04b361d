use leat_pauses::pieces;

use crate::panel::{PANEL, of_panel, pad_to, padded, paused_rows, row_stride};
use crate::{Activation, Output, Rows};

/// A dense layer on `f32` most of whose weights are zero: `y = activation(W x + b)` over the others only.
///
/// Each output is the chain of `DenseF32` without its zero weights. For finite inputs that is the same number; only a zero may have
/// the other sign, when a sum that is too small for `f32` vanishes.
#[derive(Clone, Debug)]
pub struct SparseF32 {
    inputs: usize,
    outputs: usize,
    /// The nonzero weights of each output with their inputs, in the order of the inputs.
    entries: Vec<Entry>,
    /// Where the entries of each output begin, and where those of the last one end.
    starts: Vec<usize>,
    /// Padded to whole panels.
    bias: Vec<f32>,
    activation: Activation,
}

/// A nonzero weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) input: u32,
    pub(crate) weight: f32,
}

impl SparseF32 {
    /// Packs `weights` (`[outputs, inputs]`, row-major) with one bias per output.
    ///
    /// # Panics
    /// When there is no input or no output, `weights` does not have `outputs · inputs` values, or an input has no 32-bit number.
    pub fn pack(weights: &[f32], bias: &[f32], activation: Activation) -> Self {
        let outputs = bias.len();
        assert!(outputs > 0, "a layer has at least one output");
        let inputs = weights.len() / outputs;
        assert!(inputs > 0 && inputs * outputs == weights.len(), "weights are [outputs, inputs]");
        assert!(u32::try_from(inputs).is_ok(), "inputs are counted in 32 bits");
        let nonzero = pieces(weights).flatten().filter(|&&weight| weight != 0.0);
        let mut entries = Vec::with_capacity(nonzero.count());
        let mut starts = Vec::with_capacity(outputs + 1);
        starts.push(0);
        for row in paused_rows(weights, inputs) {
            let nonzero = (0_u32..).zip(row).filter(|&(_, &weight)| weight != 0.0);
            entries.extend(nonzero.map(|(input, &weight)| Entry { input, weight }));
            starts.push(entries.len());
        }
        Self { inputs, outputs, entries, starts, bias: pad_to(bias, padded(outputs)), activation }
    }

    /// The length of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The distance between the starts of two rows that come out.
    pub fn stride(&self) -> usize {
        row_stride(self.outputs)
    }

    /// How many values of working memory the kernels need: 32 rows, input by input.
    pub fn workspace(&self) -> usize {
        self.inputs * PANEL * 2
    }

    /// How many bytes of memory the layer takes, padding included.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.starts) + size_of_val(&*self.bias)
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    pub(crate) fn panels(&self) -> usize {
        self.bias.len() / PANEL
    }

    /// The nonzero weights of an output; none of one that is only padding.
    pub(crate) fn entries(&self, output: usize) -> &[Entry] {
        if output < self.outputs { &self.entries[self.starts[output]..self.starts[output + 1]] } else { &[] }
    }

    /// The biases of one panel.
    pub(crate) fn panel_bias(&self, index: usize) -> &[f32; PANEL] {
        of_panel(&self.bias, index)
    }

    pub(crate) fn check(&self, input: &Rows<'_, f32>, output: &Output<'_>, workspace: &[f32]) {
        assert!(input.holds(self.inputs), "input rows are shorter than the layer's inputs");
        assert!(output.holds(input.count, self.stride()), "output is too short for the rows");
        assert!(workspace.len() >= self.workspace(), "the workspace is too small");
    }
}
