use super::epilogue;
use super::tiling::{Corner, Extent, Tiles};
use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};
use crate::{DenseF32, Output, Rows};

/// Runs a layer whose lengths were checked.
pub(crate) struct RunDenseF32<'a, 'b> {
    pub(crate) layer: &'a DenseF32,
    pub(crate) input: &'a Rows<'a, f32>,
    pub(crate) output: &'a mut Output<'b>,
}

impl Kernel for RunDenseF32<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let extent = Extent { rows: self.input.count, panels: self.layer.panels() };
        extent.visit(S::SUMS, &mut Walk { simd, run: self });
    }
}

struct Walk<'a, 'b, S> {
    simd: S,
    run: RunDenseF32<'a, 'b>,
}

impl<S: Simd> Tiles for Walk<'_, '_, S> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner) {
        let RunDenseF32 { layer, input, output } = &mut self.run;
        self.simd.vectorize(Tile::<ROWS, PANELS> { layer, input, output, corner });
    }
}

struct Tile<'a, 'b, const ROWS: usize, const PANELS: usize> {
    layer: &'a DenseF32,
    input: &'a Rows<'a, f32>,
    output: &'a mut Output<'b>,
    corner: Corner,
}

impl<const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, input, output, corner } = self;
        let inputs = layer.inputs();
        let mut rows = [std::ptr::null(); ROWS];
        for (row, pointer) in rows.iter_mut().enumerate() {
            *pointer = input.row(corner.row + row, inputs).as_ptr();
        }
        let mut panels = [std::ptr::null(); PANELS];
        let mut sums = [[simd.splat(0.0); PANELS]; ROWS];
        for panel in 0..PANELS {
            panels[panel] = layer.panel(corner.panel + panel).as_ptr();
            let bias = simd.load(layer.panel_bias(corner.panel + panel));
            for row in &mut sums {
                row[panel] = bias;
            }
        }
        for input in 0..inputs {
            let mut weights = [simd.splat(0.0); PANELS];
            for panel in 0..PANELS {
                // SAFETY: a panel holds `inputs · PANEL` values and `input < inputs`, so sixteen lie from there on.
                weights[panel] =
                    simd.load(unsafe { &*panels[panel].add(input * PANEL).cast::<[f32; PANEL]>() });
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
