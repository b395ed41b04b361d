use super::epilogue;
use super::tiling::{Corner, Extent, Tiles};
use crate::panel::BLOCK;
use crate::simd::{Kernel, Simd};
use crate::{DenseU8, Output, Rows};

/// Runs a layer whose lengths and order of weights were checked.
pub(crate) struct RunDenseU8<'a, 'b> {
    pub(crate) layer: &'a DenseU8,
    pub(crate) input: &'a Rows<'a, u8>,
    pub(crate) output: &'a mut Output<'b>,
}

impl Kernel for RunDenseU8<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let extent = Extent { rows: self.input.count, panels: self.layer.panels() };
        extent.visit(S::SUMS, &mut Walk { simd, run: self });
    }
}

struct Walk<'a, 'b, S> {
    simd: S,
    run: RunDenseU8<'a, 'b>,
}

impl<S: Simd> Tiles for Walk<'_, '_, S> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner) {
        let RunDenseU8 { layer, input, output } = &mut self.run;
        self.simd.vectorize(Tile::<ROWS, PANELS> { layer, input, output, corner });
    }
}

struct Tile<'a, 'b, const ROWS: usize, const PANELS: usize> {
    layer: &'a DenseU8,
    input: &'a Rows<'a, u8>,
    output: &'a mut Output<'b>,
    corner: Corner,
}

impl<const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, input, output, corner } = self;
        let blocks = layer.blocks();
        let mut rows = [std::ptr::null::<[u8; 4]>(); ROWS];
        for (row, pointer) in rows.iter_mut().enumerate() {
            *pointer = input.row(corner.row + row, layer.padded_inputs()).as_ptr().cast();
        }
        let mut panels = [std::ptr::null::<[i8; BLOCK]>(); PANELS];
        for (panel, pointer) in panels.iter_mut().enumerate() {
            *pointer = layer.panel(corner.panel + panel).as_ptr().cast();
        }
        let mut sums = [[simd.zero(); PANELS]; ROWS];
        for block in 0..blocks {
            for part in 0..S::PARTS {
                let mut weights = [simd.weights(&[0; BLOCK], part); PANELS];
                for panel in 0..PANELS {
                    // SAFETY: a panel holds `blocks` blocks and `block < blocks`.
                    weights[panel] = simd.weights(unsafe { &*panels[panel].add(block) }, part);
                }
                for row in 0..ROWS {
                    // SAFETY: a row holds four codes for each block and `block < blocks`.
                    let codes = simd.codes(unsafe { *rows[row].add(block) }, part);
                    for panel in 0..PANELS {
                        sums[row][panel] = simd.dot(sums[row][panel], weights[panel], codes);
                    }
                }
            }
        }
        finish(simd, &sums, layer, corner, output);
    }
}

/// Turns exact sums into real numbers, applies the activation and stores them.
#[inline(always)]
fn finish<S: Simd, const ROWS: usize, const PANELS: usize>(
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
