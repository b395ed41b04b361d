use crate::integer_terms::{IntegerLayout, IntegerTerms, Terms};
use crate::panel::{BLOCK, CODES_PER_STEP, PANEL, paused_rows, row_stride};
use crate::{Activation, DenseU8Parts, Kernels, Output, Rows};

/// An integer layer most of whose blocks of neighbouring weights of one output are zero: blocks of four, or of two where the kernels
/// multiply 16-bit numbers. It gives the bits of `DenseU8`: sums of integers are exact in any order.
#[derive(Clone, Debug)]
pub struct SparseU8 {
    inputs: usize,
    outputs: usize,
    /// The blocks of each output that are not zero, in the order of the inputs.
    entries: Vec<BlockEntry>,
    /// Where the entries of each output begin, and where those of the last one end.
    starts: Vec<usize>,
    terms: IntegerTerms,
    layout: IntegerLayout,
    activation: Activation,
}

/// A block of weights of one output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockEntry {
    /// How many blocks of inputs are before it.
    pub(crate) block: u32,
    /// Four weights, or two of two bytes each.
    pub(crate) weights: [u8; CODES_PER_STEP],
}

impl SparseU8 {
    /// Packs a layer for these kernels; others refuse it.
    ///
    /// # Panics
    /// As [`crate::DenseU8::pack`].
    pub fn pack(parts: &DenseU8Parts<'_>, kernels: Kernels) -> Self {
        parts.check();
        let layout = kernels.integer_layout();
        let mut entries = Vec::with_capacity(nonzero_blocks(parts, layout));
        let mut starts = Vec::with_capacity(parts.bias.len() + 1);
        starts.push(0);
        for row in paused_rows(parts.codes, parts.inputs()) {
            for (block, codes) in (0_u32..).zip(row.chunks(layout.block())) {
                if is_nonzero(codes) {
                    entries.push(BlockEntry { block, weights: layout.block_of_weights(codes) });
                }
            }
            starts.push(entries.len());
        }
        Self {
            inputs: parts.inputs(),
            outputs: parts.bias.len(),
            entries,
            starts,
            terms: IntegerTerms::of(parts, layout),
            layout,
            activation: parts.activation,
        }
    }

    /// The share of blocks that are not zero in a layer that would be packed.
    ///
    /// # Panics
    /// As [`crate::DenseU8::pack`].
    pub fn density_of(parts: &DenseU8Parts<'_>, kernels: Kernels) -> f64 {
        parts.check();
        let layout = kernels.integer_layout();
        let blocks = parts.inputs().next_multiple_of(CODES_PER_STEP) / layout.block() * parts.bias.len();
        nonzero_blocks(parts, layout) as f64 / blocks as f64
    }

    /// How many codes of an input row are read: the inputs rounded up to a multiple of four. The extra ones meet zero weights.
    pub fn padded_inputs(&self) -> usize {
        self.inputs.next_multiple_of(CODES_PER_STEP)
    }

    /// The distance between the starts of two rows that come out.
    pub fn stride(&self) -> usize {
        row_stride(self.outputs)
    }

    /// How many bytes of working memory the kernels need: 32 rows, block by block.
    pub fn workspace(&self) -> usize {
        self.blocks() * BLOCK * 2
    }

    /// How many bytes of memory the layer takes, padding included.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.starts) + self.terms.bytes()
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    /// How many blocks a row has.
    pub(crate) fn blocks(&self) -> usize {
        self.padded_inputs() / self.layout.block()
    }

    /// How many inputs a block has.
    pub(crate) fn block(&self) -> usize {
        self.layout.block()
    }

    pub(crate) fn panels(&self) -> usize {
        self.terms.len() / PANEL
    }

    /// The nonzero blocks of an output; none of one that is only padding.
    pub(crate) fn entries(&self, output: usize) -> &[BlockEntry] {
        if output < self.outputs { &self.entries[self.starts[output]..self.starts[output + 1]] } else { &[] }
    }

    pub(crate) fn panel_terms(&self, index: usize) -> Terms<'_> {
        self.terms.panel(index)
    }

    pub(crate) fn check(
        &self,
        kernels: Kernels,
        input: &Rows<'_, u8>,
        output: &Output<'_>,
        workspace: &[u8],
    ) {
        self.layout.check(kernels);
        assert!(input.holds(self.padded_inputs()), "input rows are shorter than the layer's padded inputs");
        assert!(output.holds(input.count, self.stride()), "output is too short for the rows");
        assert!(workspace.len() >= self.workspace(), "the workspace is too small");
    }
}

fn nonzero_blocks(parts: &DenseU8Parts<'_>, layout: IntegerLayout) -> usize {
    let rows = paused_rows(parts.codes, parts.inputs());
    rows.map(|row| row.chunks(layout.block()).filter(|codes| is_nonzero(codes)).count()).sum()
}

fn is_nonzero(codes: &[i8]) -> bool {
    codes.iter().any(|&code| code != 0)
}
