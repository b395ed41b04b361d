use std::ops::Range;

use super::epilogue;
use super::tiling::{Ahead, Corner, Extent, STEPS, Share, Steps, Tiles};
use crate::panel::BLOCK;
use crate::simd::{Kernel, Simd};
use crate::{DenseU8, Output, Rows};

/// Runs a layer whose lengths and order of weights were checked.
pub(crate) struct RunDenseU8<'a, 'b> {
    pub(crate) layer: &'a DenseU8,
    /// Those whose outputs are computed.
    pub(crate) panels: Range<usize>,
    pub(crate) input: &'a Rows<'a, u8>,
    pub(crate) output: &'a mut Output<'b>,
}

impl Kernel for RunDenseU8<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let extent = Extent { rows: self.input.count, panels: self.panels.clone() };
        extent.visit(S::SUMS, &mut Walk { simd, run: self });
    }
}

struct Walk<'a, 'b, S> {
    simd: S,
    run: RunDenseU8<'a, 'b>,
}

impl<S: Simd> Tiles for Walk<'_, '_, S> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner, share: Share) {
        let RunDenseU8 { layer, input, output, .. } = &mut self.run;
        self.simd.vectorize(Tile::<ROWS, PANELS> { layer, input, output, corner, share });
    }
}

struct Tile<'a, 'b, const ROWS: usize, const PANELS: usize> {
    layer: &'a DenseU8,
    input: &'a Rows<'a, u8>,
    output: &'a mut Output<'b>,
    corner: Corner,
    share: Share,
}

impl<const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(ROWS * PANELS <= S::SUMS, "the sums of a tile stay in registers");
        let Self { layer, input, output, corner, share } = self;
        let starts: [_; ROWS] = input.starts(corner.row, layer.padded_inputs());
        let codes = starts.map(|start| Narrow(start.cast()));
        // SAFETY: a row holds four codes for each block.
        let sums: [[_; PANELS]; ROWS] = unsafe { sums(simd, codes, layer, corner, share) };
        finish(simd, &sums, layer, corner, output);
    }
}

/// The codes of one row.
pub(crate) trait CodeRow<S: Simd>: Copy {
    /// Part `part` of block `block`.
    ///
    /// # Safety
    /// The row holds that block.
    unsafe fn part(self, simd: S, block: usize, part: usize) -> S::Codes;

    /// The row from a later block on.
    fn skip(self, blocks: usize) -> Self;
}

/// Codes as they are, four to a block.
#[derive(Clone, Copy)]
struct Narrow(*const [u8; 4]);

impl<S: Simd> CodeRow<S> for Narrow {
    #[inline(always)]
    unsafe fn part(self, simd: S, block: usize, part: usize) -> S::Codes {
        // SAFETY: the row holds that block.
        simd.codes(unsafe { *self.0.add(block) }, part)
    }

    #[inline(always)]
    fn skip(self, blocks: usize) -> Self {
        Self(self.0.wrapping_add(blocks))
    }
}

/// The exact sums of a tile.
///
/// # Safety
/// Each row holds every block of the layer.
#[inline(always)]
pub(crate) unsafe fn sums<S: Simd, R: CodeRow<S>, const ROWS: usize, const PANELS: usize>(
    simd: S,
    rows: [R; ROWS],
    layer: &DenseU8,
    corner: Corner,
    share: Share,
) -> [[S::Integer; PANELS]; ROWS] {
    let mut panels = [std::ptr::null(); PANELS];
    for (panel, pointer) in panels.iter_mut().enumerate() {
        *pointer = layer.panel(corner.panel + panel).as_ptr().cast();
    }
    let steps = Steps { count: layer.blocks(), bytes: BLOCK };
    let beyond = PANELS * steps.count * steps.bytes;
    let next = panels.map(|panel: *const [i8; BLOCK]| panel.cast::<u8>().wrapping_add(beyond));
    let (mut ahead, mut operands) = (Ahead::new(next, share, steps), Operands { rows, panels });
    let mut sums = [[simd.zero(); PANELS]; ROWS];
    for _ in 0..layer.blocks() / STEPS {
        ahead.fetch(simd);
        for block in 0..STEPS {
            // SAFETY: so many blocks of the layer are left, and so of each row.
            unsafe { operands.add(simd, block, &mut sums) };
        }
        operands.skip(STEPS);
    }
    for block in 0..layer.blocks() % STEPS {
        // SAFETY: likewise.
        unsafe { operands.add(simd, block, &mut sums) };
    }
    sums
}

/// What the products of a tile are of. Pointers that move on cost less in the loop than an index into all of them.
struct Operands<R, const ROWS: usize, const PANELS: usize> {
    /// The blocks that are left.
    rows: [R; ROWS],
    /// The blocks that are left.
    panels: [*const [i8; BLOCK]; PANELS],
}

impl<R, const ROWS: usize, const PANELS: usize> Operands<R, ROWS, PANELS> {
    /// Leaves blocks behind.
    #[inline(always)]
    fn skip<S: Simd>(&mut self, blocks: usize)
    where
        R: CodeRow<S>,
    {
        self.rows = self.rows.map(|row| row.skip(blocks));
        self.panels = self.panels.map(|panel| panel.wrapping_add(blocks));
    }

    /// Adds the products of one block.
    ///
    /// # Safety
    /// So many blocks and one more are left.
    #[inline(always)]
    unsafe fn add<S: Simd>(&self, simd: S, block: usize, sums: &mut [[S::Integer; PANELS]; ROWS])
    where
        R: CodeRow<S>,
    {
        for part in 0..S::PARTS {
            let mut weights = [simd.weights(&[0; BLOCK], part); PANELS];
            for (weights, panel) in weights.iter_mut().zip(self.panels) {
                // SAFETY: the panel has that block.
                *weights = simd.weights(unsafe { &*panel.add(block) }, part);
            }
            for (sums, row) in sums.iter_mut().zip(&self.rows) {
                // SAFETY: the row has that block.
                let codes = unsafe { row.part(simd, block, part) };
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = simd.dot_in_order(*sum, weights, codes);
                }
            }
        }
    }
}

/// Turns exact sums into real numbers, applies the activation and stores them.
#[inline(always)]
pub(crate) fn finish<S: Simd, const ROWS: usize, const PANELS: usize>(
    simd: S,
    sums: &[[S::Integer; PANELS]; ROWS],
    layer: &DenseU8,
    corner: Corner,
    output: &mut Output<'_>,
) {
    let mut values = [[simd.splat(0.0); PANELS]; ROWS];
    for panel in 0..PANELS {
        let terms = layer.panel_terms(corner.panel + panel);
        let correction = simd.load_integer(terms.correction);
        let (multiplier, bias) = (simd.load(terms.multiplier), simd.load(terms.bias));
        for (values, sums) in values.iter_mut().zip(sums) {
            let exact = simd.to_real(simd.sub_integer(sums[panel], correction));
            values[panel] = simd.fma(exact, multiplier, bias);
        }
    }
    epilogue::finish(simd, values, layer.activation(), &corner.place(layer.stride()), output);
}

/// Finishes the sums of sixteen rows by one panel that were computed elsewhere.
#[cfg(target_arch = "x86_64")]
pub(crate) struct FinishSums<'a, 'b> {
    pub(crate) sums: &'a [[i32; 16]; 16],
    pub(crate) layer: &'a DenseU8,
    pub(crate) row: usize,
    pub(crate) panel: usize,
    pub(crate) output: &'a mut Output<'b>,
}

#[cfg(target_arch = "x86_64")]
impl Kernel for FinishSums<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { sums, layer, row, panel, output } = self;
        let sums = sums.each_ref().map(|sums| [simd.load_integer(sums)]);
        finish(simd, &sums, layer, Corner { row, panel }, output);
    }
}
