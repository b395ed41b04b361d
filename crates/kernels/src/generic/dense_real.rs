use std::ops::Range;

use super::epilogue;
use super::tiling::{self, Ahead, Corner, Extent, MANY_STEPS, STEPS, Share, Steps, Tiles};
use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};
use crate::weight::Weight;
use crate::{Activation, DenseReal, Output, Rows};

/// Many inputs of many rows are added in parts of so many, while the sums so far wait in the output. Weights that are expanded once for all
/// rows then fit on the stack; what a wide column, the one after it and a few hundred rows take then fits a second cache of two mebibytes
/// (4096 inputs and outputs, 256 rows, Emerald Rapids: 95 % of the peak instead of 89 %, for 32 rows 94 % instead of 80 %).
const PART: usize = 1024;
/// How many panels of expanded weights meet the same part of the rows before the next part.
const TOGETHER: usize = 8;

/// Runs a layer whose lengths were checked.
pub(crate) struct RunDenseReal<'a, 'b, W: Weight> {
    pub(crate) layer: &'a DenseReal<W>,
    /// Those whose outputs are computed.
    pub(crate) panels: Range<usize>,
    pub(crate) input: &'a Rows<'a, f32>,
    pub(crate) output: &'a mut Output<'b>,
}

impl<W: Weight> Kernel for RunDenseReal<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (rows, panels, inputs) = (self.input.count, self.panels.clone(), self.layer.inputs());
        // Few rows meet each weight only once, and codes have no room for the sums of parts.
        let pays = rows > S::SUMS && !matches!(self.output, Output::Codes(..));
        let is_wide = tiling::is_wide(S::SUMS);
        let is_expanded = W::IS_COMPACT && pays && !is_wide;
        let part = if pays && (is_expanded || is_wide) { PART } else { inputs };
        let together = if is_expanded && inputs > PART { TOGETHER } else { panels.len() };
        let mut expanded = is_expanded.then_some([[0.0; PANEL]; PART]);
        let mut walk = Walk { simd, run: self, inputs: 0..0, panels: 0..0, expanded: expanded.as_mut() };
        // Where a layer is small, an iterator that divides to know its steps would take a noticeable part of the time.
        let mut panel = panels.start;
        while panel < panels.end {
            walk.panels = panel..panels.end.min(panel + together);
            let mut input = 0;
            while input < inputs {
                walk.inputs = input..inputs.min(input + part);
                Extent { rows, panels: walk.panels.clone() }.visit(S::SUMS, &mut walk);
                input = walk.inputs.end;
            }
            panel = walk.panels.end;
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
    /// Room for a part of one panel when compact weights are expanded once for all rows, which is so where columns are one panel wide.
    expanded: Option<&'a mut [[f32; PANEL]; PART]>,
}

impl<S: Simd, W: Weight> Tiles for Walk<'_, '_, S, W> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner, share: Share) {
        let (simd, ahead, inputs) = (self.simd, self.ahead(corner, share), self.inputs.clone());
        let RunDenseReal { layer, input, output, .. } = &mut self.run;
        let stored = |index| &layer.panel(corner.panel + index)[inputs.clone()];
        let part = Part { layer, input, corner, inputs: inputs.clone() };
        match self.expanded.as_deref_mut() {
            Some(expanded) if PANELS == 1 => {
                let expanded = &mut expanded[..inputs.len()];
                if share.tile == 0 {
                    let scales = layer.panel_scales(corner.panel);
                    simd.vectorize(Expand { weights: stored(0), scales, expanded });
                }
                let panels = [&*expanded; PANELS];
                simd.vectorize(Tile::<W, f32, ROWS, PANELS> { part, output, panels, ahead });
            }
            _ => {
                let panels = std::array::from_fn(stored);
                simd.vectorize(Tile::<W, W, ROWS, PANELS> { part, output, panels, ahead });
            }
        }
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

/// What weights stand for, each sixteen of one input.
struct Expand<'a, W> {
    weights: &'a [[W; PANEL]],
    scales: &'a [f32; PANEL],
    expanded: &'a mut [[f32; PANEL]],
}

impl<W: Weight> Kernel for Expand<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let scales = simd.load(self.scales);
        for (weights, expanded) in self.weights.iter().zip(self.expanded) {
            simd.store(W::load(simd, weights, scales), expanded);
        }
    }
}

/// What a tile computes a part of.
struct Part<'a, W: Weight> {
    layer: &'a DenseReal<W>,
    input: &'a Rows<'a, f32>,
    corner: Corner,
    /// The inputs whose products are added.
    inputs: Range<usize>,
}

/// A tile whose weights are read as `R`: as the layer stores them, or expanded.
struct Tile<'a, 'b, W: Weight, R, const ROWS: usize, const PANELS: usize> {
    part: Part<'a, W>,
    output: &'a mut Output<'b>,
    /// Sixteen weights for each of the inputs.
    panels: [&'a [[R; PANEL]]; PANELS],
    ahead: Ahead<PANELS>,
}

impl<W: Weight, R: Weight, const ROWS: usize, const PANELS: usize> Kernel
    for Tile<'_, '_, W, R, ROWS, PANELS>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(ROWS * PANELS <= S::SUMS, "the sums of a tile stay in registers");
        let Self { part, output, panels, ahead } = self;
        let mut operands = Operands::new(simd, &part, panels);
        let Part { layer, corner, inputs, .. } = part;
        let place = corner.place(layer.stride());
        let mut sums: [[S::Real; PANELS]; ROWS] = match output {
            Output::Values(values) if inputs.start > 0 => epilogue::stored(simd, &place, values),
            _ => biases(simd, layer, corner),
        };
        // SAFETY: the operands hold as many inputs.
        unsafe { operands.add_all(simd, inputs.len(), ahead, &mut sums) };
        let is_complete = inputs.end == layer.inputs();
        let activation = if is_complete { layer.activation() } else { Activation::Identity };
        epilogue::finish(simd, sums, activation, &place, output);
    }
}

/// What the products of a tile are of. Pointers that move on cost less in the loop than an index into all of them.
struct Operands<S: Simd, R, const ROWS: usize, const PANELS: usize> {
    /// A value for each of the inputs that are left.
    rows: [*const f32; ROWS],
    /// Sixteen weights for each of the inputs that are left.
    panels: [*const [R; PANEL]; PANELS],
    scales: [S::Real; PANELS],
}

impl<S: Simd, R: Weight, const ROWS: usize, const PANELS: usize> Operands<S, R, ROWS, PANELS> {
    #[inline(always)]
    fn new<W: Weight>(simd: S, part: &Part<'_, W>, panels: [&[[R; PANEL]]; PANELS]) -> Self {
        let Part { layer, input, corner, inputs } = part;
        let mut rows = [std::ptr::null(); ROWS];
        for (row, pointer) in rows.iter_mut().enumerate() {
            *pointer = input.row(corner.row + row, layer.inputs())[inputs.clone()].as_ptr();
        }
        let mut scales = [simd.splat(0.0); PANELS];
        for (panel, scales) in scales.iter_mut().enumerate() {
            assert!(panels[panel].len() == inputs.len(), "there are weights for each input");
            *scales = simd.load(layer.panel_scales(corner.panel + panel));
        }
        Self { rows, panels: panels.map(<[_]>::as_ptr), scales }
    }

    /// Leaves inputs behind.
    #[inline(always)]
    fn skip(&mut self, inputs: usize) {
        self.rows = self.rows.map(|row| row.wrapping_add(inputs));
        self.panels = self.panels.map(|panel| panel.wrapping_add(inputs));
    }

    /// Adds the products of all inputs.
    ///
    /// # Safety
    /// So many inputs are left.
    #[inline(always)]
    unsafe fn add_all(
        &mut self,
        simd: S,
        mut left: usize,
        mut ahead: Ahead<PANELS>,
        sums: &mut [[S::Real; PANELS]; ROWS],
    ) {
        // Wide tiles have enough to do in a few steps.
        if !tiling::is_wide(S::SUMS) && ahead.is_slow() {
            for _ in 0..left / MANY_STEPS {
                ahead.fetch_for_many(simd);
                // One after the other: the compiler would make a loop of so much code again.
                // SAFETY: so many inputs are left.
                unsafe {
                    self.add_steps(simd, 0, sums);
                    self.add_steps(simd, STEPS, sums);
                    self.add_steps(simd, 2 * STEPS, sums);
                    self.add_steps(simd, 3 * STEPS, sums);
                }
                self.skip(MANY_STEPS);
            }
            left %= MANY_STEPS;
        }
        for _ in 0..left / STEPS {
            ahead.fetch(simd);
            // SAFETY: likewise.
            unsafe { self.add_steps(simd, 0, sums) };
            self.skip(STEPS);
        }
        for input in 0..left % STEPS {
            // SAFETY: likewise.
            unsafe { self.add(simd, input, sums) };
        }
    }

    /// Adds the products of `STEPS` inputs.
    ///
    /// # Safety
    /// So many inputs are left after the first ones.
    #[inline(always)]
    unsafe fn add_steps(&self, simd: S, first: usize, sums: &mut [[S::Real; PANELS]; ROWS]) {
        for input in first..first + STEPS {
            // SAFETY: likewise.
            unsafe { self.add(simd, input, sums) };
        }
    }

    /// Adds the products of one input.
    ///
    /// # Safety
    /// So many inputs and one more are left.
    #[inline(always)]
    unsafe fn add(&self, simd: S, input: usize, sums: &mut [[S::Real; PANELS]; ROWS]) {
        let mut weights = [simd.splat(0.0); PANELS];
        for ((weights, panel), scales) in weights.iter_mut().zip(self.panels).zip(self.scales) {
            // SAFETY: a panel holds sixteen weights for each input.
            *weights = R::load(simd, unsafe { &*panel.add(input) }, scales);
        }
        for (sums, row) in sums.iter_mut().zip(self.rows) {
            // SAFETY: a row holds a value for each input.
            let x = simd.splat(unsafe { *row.add(input) });
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = simd.fma_in_order(x, weights, *sum);
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
