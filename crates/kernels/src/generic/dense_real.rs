use std::ops::Range;

use super::epilogue;
use super::tiling::{Ahead, Corner, Extent, STEPS, Share, Steps, Tiles};
use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};
use crate::weight::Weight;
use crate::{Activation, DenseReal, Output, Rows};

/// From so many inputs on, a layer is computed in parts of its inputs: the part of a panel's weights that all rows meet in turn, and the
/// part of the rows that meets several panels, then stay in the caches next to the processor.
const INPUTS_MAX: usize = 1024;
/// How many inputs such a part has.
const PART: usize = 512;
/// How many panels meet the same part of the rows before the next part. Their sums so far wait in the output.
const TOGETHER: usize = 8;

/// Runs a layer whose lengths were checked.
pub(crate) struct RunDenseReal<'a, 'b, W: Weight> {
    pub(crate) layer: &'a DenseReal<W>,
    pub(crate) input: &'a Rows<'a, f32>,
    pub(crate) output: &'a mut Output<'b>,
}

impl<W: Weight> Kernel for RunDenseReal<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (rows, panels, inputs) = (self.input.count, self.layer.panels(), self.layer.inputs());
        // Codes have no room for sums, and few rows meet each weight only once.
        let is_whole = inputs <= INPUTS_MAX || rows <= S::SUMS || matches!(self.output, Output::Codes(..));
        let (part, together) = if is_whole { (inputs, panels) } else { (PART, TOGETHER) };
        let mut walk = Walk { simd, run: self, inputs: 0..0, panels: 0..0 };
        for start in (0..panels).step_by(together) {
            walk.panels = start..panels.min(start + together);
            for input in (0..inputs).step_by(part) {
                walk.inputs = input..inputs.min(input + part);
                Extent { rows, panels: walk.panels.clone() }.visit(S::SUMS, &mut walk);
            }
        }
    }
}

struct Walk<'a, 'b, S, W: Weight> {
    simd: S,
    run: RunDenseReal<'a, 'b, W>,
    /// The part of the inputs that the tiles add.
    inputs: Range<usize>,
    /// The panels that meet it.
    panels: Range<usize>,
}

impl<S: Simd, W: Weight> Tiles for Walk<'_, '_, S, W> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner, share: Share) {
        let (ahead, inputs) = (self.ahead(corner, share), self.inputs.clone());
        let RunDenseReal { layer, input, output } = &mut self.run;
        self.simd.vectorize(Tile::<W, ROWS, PANELS> { layer, input, output, corner, inputs, ahead });
    }
}

impl<S: Simd, W: Weight> Walk<'_, '_, S, W> {
    /// The weights of the next column: those of the next panels, then the next part of the inputs, then the next panels again.
    #[inline(always)]
    fn ahead<const PANELS: usize>(&self, corner: Corner, share: Share) -> Ahead<PANELS> {
        let (layer, inputs) = (self.run.layer, &self.inputs);
        let is_last = corner.panel + PANELS >= self.panels.end;
        let (panel, input) = match is_last {
            false => (corner.panel + PANELS, inputs.start),
            true if inputs.end < layer.inputs() => (self.panels.start, inputs.end),
            true => (self.panels.end, 0),
        };
        let start = layer.weights().as_ptr().cast::<u8>();
        let place = |index| ((panel + index) * layer.inputs() + input) * PANEL * size_of::<W>();
        let panels = std::array::from_fn(|index| start.wrapping_add(place(index)));
        Ahead::new(panels, share, Steps { count: inputs.len(), bytes: PANEL * size_of::<W>() })
    }
}

struct Tile<'a, 'b, W: Weight, const ROWS: usize, const PANELS: usize> {
    layer: &'a DenseReal<W>,
    input: &'a Rows<'a, f32>,
    output: &'a mut Output<'b>,
    corner: Corner,
    inputs: Range<usize>,
    ahead: Ahead<PANELS>,
}

impl<W: Weight, const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, W, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(ROWS * PANELS <= S::SUMS, "the sums of a tile stay in registers");
        let Self { layer, input, output, corner, inputs, mut ahead } = self;
        let operands = Operands::new(simd, layer, input, corner);
        let place = corner.place(layer.stride());
        let mut sums: [[S::Real; PANELS]; ROWS] = match output {
            Output::Values(values) if inputs.start > 0 => epilogue::stored(simd, &place, values),
            _ => biases(simd, layer, corner),
        };
        let whole = inputs.len() / STEPS * STEPS;
        for input in (inputs.start..inputs.start + whole).step_by(STEPS) {
            ahead.fetch(simd);
            for index in 0..STEPS {
                // SAFETY: this is one of the inputs of the layer.
                unsafe { operands.add(simd, input + index, &mut sums) };
            }
        }
        for input in inputs.start + whole..inputs.end {
            // SAFETY: likewise.
            unsafe { operands.add(simd, input, &mut sums) };
        }
        let is_complete = inputs.end == layer.inputs();
        let activation = if is_complete { layer.activation() } else { Activation::Identity };
        epilogue::finish(simd, sums, activation, &place, output);
    }
}

/// What the products of a tile are of.
struct Operands<S: Simd, W, const ROWS: usize, const PANELS: usize> {
    /// As many values as the layer has inputs.
    rows: [*const f32; ROWS],
    /// Sixteen weights for each input of the layer.
    panels: [*const [W; PANEL]; PANELS],
    scales: [S::Real; PANELS],
}

impl<S: Simd, W: Weight, const ROWS: usize, const PANELS: usize> Operands<S, W, ROWS, PANELS> {
    #[inline(always)]
    fn new(simd: S, layer: &DenseReal<W>, input: &Rows<'_, f32>, corner: Corner) -> Self {
        let mut rows = [std::ptr::null(); ROWS];
        for (row, pointer) in rows.iter_mut().enumerate() {
            *pointer = input.row(corner.row + row, layer.inputs()).as_ptr();
        }
        let mut panels = [std::ptr::null(); PANELS];
        let mut scales = [simd.splat(0.0); PANELS];
        for panel in 0..PANELS {
            panels[panel] = layer.panel(corner.panel + panel).as_ptr().cast();
            scales[panel] = simd.load(layer.panel_scales(corner.panel + panel));
        }
        Self { rows, panels, scales }
    }

    /// Adds the products of one input.
    ///
    /// # Safety
    /// The layer has that input.
    #[inline(always)]
    unsafe fn add(&self, simd: S, input: usize, sums: &mut [[S::Real; PANELS]; ROWS]) {
        let mut weights = [simd.splat(0.0); PANELS];
        for ((weights, panel), scales) in weights.iter_mut().zip(self.panels).zip(self.scales) {
            // SAFETY: a panel holds sixteen weights for each input.
            *weights = W::load(simd, unsafe { &*panel.add(input) }, scales);
        }
        for (sums, row) in sums.iter_mut().zip(self.rows) {
            // SAFETY: a row holds a value for each input.
            let x = simd.splat(unsafe { *row.add(input) });
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = simd.fma(x, weights, *sum);
            }
        }
    }
}

/// What the sums of a tile start at.
#[inline(always)]
fn biases<S: Simd, W: Weight, const ROWS: usize, const PANELS: usize>(
    simd: S,
    layer: &DenseReal<W>,
    corner: Corner,
) -> [[S::Real; PANELS]; ROWS] {
    let mut biases = [simd.splat(0.0); PANELS];
    for (panel, bias) in biases.iter_mut().enumerate() {
        *bias = simd.load(layer.panel_bias(corner.panel + panel));
    }
    [biases; ROWS]
}
