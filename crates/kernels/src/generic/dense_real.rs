use super::epilogue;
use super::tiling::{Corner, Extent, Tiles};
use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};
use crate::weight::Weight;
use crate::{DenseReal, Output, Rows};

/// Runs a layer whose lengths were checked.
pub(crate) struct RunDenseReal<'a, 'b, W> {
    pub(crate) layer: &'a DenseReal<W>,
    pub(crate) input: &'a Rows<'a, f32>,
    pub(crate) output: &'a mut Output<'b>,
}

impl<W: Weight> Kernel for RunDenseReal<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let extent = Extent { rows: self.input.count, panels: self.layer.panels() };
        extent.visit(S::SUMS, &mut Walk { simd, run: self });
    }
}

struct Walk<'a, 'b, S, W> {
    simd: S,
    run: RunDenseReal<'a, 'b, W>,
}

impl<S: Simd, W: Weight> Tiles for Walk<'_, '_, S, W> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner) {
        let RunDenseReal { layer, input, output } = &mut self.run;
        self.simd.vectorize(Tile::<W, ROWS, PANELS> { layer, input, output, corner });
    }
}

struct Tile<'a, 'b, W, const ROWS: usize, const PANELS: usize> {
    layer: &'a DenseReal<W>,
    input: &'a Rows<'a, f32>,
    output: &'a mut Output<'b>,
    corner: Corner,
}

impl<W: Weight, const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, W, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, input, output, corner } = self;
        let inputs = layer.inputs();
        let mut rows = [std::ptr::null(); ROWS];
        for (row, pointer) in rows.iter_mut().enumerate() {
            *pointer = input.row(corner.row + row, inputs).as_ptr();
        }
        let mut panels = [std::ptr::null::<[W; PANEL]>(); PANELS];
        let mut scales = [simd.splat(0.0); PANELS];
        let mut sums = [[simd.splat(0.0); PANELS]; ROWS];
        for panel in 0..PANELS {
            panels[panel] = layer.panel(corner.panel + panel).as_ptr().cast();
            scales[panel] = simd.load(layer.panel_scales(corner.panel + panel));
            let bias = simd.load(layer.panel_bias(corner.panel + panel));
            for row in &mut sums {
                row[panel] = bias;
            }
        }
        for input in 0..inputs {
            let mut weights = [simd.splat(0.0); PANELS];
            for panel in 0..PANELS {
                // SAFETY: a panel holds sixteen weights for each input and `input < inputs`.
                weights[panel] = W::load(simd, unsafe { &*panels[panel].add(input) }, scales[panel]);
            }
            for row in 0..ROWS {
                // SAFETY: a row holds `inputs` values and `input < inputs`.
                let x = simd.splat(unsafe { *rows[row].add(input) });
                for panel in 0..PANELS {
                    sums[row][panel] = simd.fma(x, weights[panel], sums[row][panel]);
                }
            }
        }
        epilogue::finish(simd, sums, layer.activation(), &corner.place(layer.stride()), output);
    }
}
