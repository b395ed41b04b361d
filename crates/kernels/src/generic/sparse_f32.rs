use std::ops::Range;

use super::by_rows::{self, ByRows, Target};
use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};
use crate::{Output, Rows, SparseF32};

/// One input of sixteen rows.
type Lanes = [f32; PANEL];

/// Runs a layer whose lengths were checked. Here a lane is a row: rows are turned so that each input lies in vectors of sixteen,
/// and each nonzero weight then costs one multiplication for all of them (Elsen et al., 2020).
pub(crate) struct RunSparseF32<'a, 'b> {
    pub(crate) layer: &'a SparseF32,
    pub(crate) input: &'a Rows<'a, f32>,
    pub(crate) output: &'a mut Output<'b>,
    pub(crate) workspace: &'a mut [f32],
}

impl Kernel for RunSparseF32<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        by_rows::visit(self.input.count, &mut Walk { simd, run: self });
    }
}

struct Walk<'a, 'b, S> {
    simd: S,
    run: RunSparseF32<'a, 'b>,
}

impl<S: Simd> ByRows for Walk<'_, '_, S> {
    #[inline(always)]
    fn part<const VECTORS: usize>(&mut self, rows: Range<usize>) {
        let RunSparseF32 { layer, input, output, workspace } = &mut self.run;
        self.simd.vectorize(Block::<VECTORS> { layer, input, output, workspace, rows });
    }
}

/// At most `VECTORS` vectors of rows.
struct Block<'a, 'b, const VECTORS: usize> {
    layer: &'a SparseF32,
    input: &'a Rows<'a, f32>,
    output: &'a mut Output<'b>,
    workspace: &'a mut [f32],
    rows: Range<usize>,
}

impl<const VECTORS: usize> Kernel for Block<'_, '_, VECTORS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, input, output, workspace, rows } = self;
        let (columns, _) = workspace.as_chunks_mut::<PANEL>();
        let (columns, _) = columns.as_chunks_mut::<VECTORS>();
        let columns = &mut columns[..layer.inputs()];
        turn(simd, input, rows.clone(), columns);
        for panel in 0..layer.panels() {
            let sums = sums(simd, layer, panel, columns);
            let (stride, activation) = (layer.stride(), layer.activation());
            Target { rows: rows.clone(), panel, stride, activation }.finish(simd, sums, output);
        }
    }
}

/// The sums of one panel: for each vector of rows those of sixteen outputs.
#[inline(always)]
fn sums<S: Simd, const VECTORS: usize>(
    simd: S,
    layer: &SparseF32,
    panel: usize,
    columns: &[[Lanes; VECTORS]],
) -> [[S::Real; PANEL]; VECTORS] {
    let mut all = [[simd.splat(0.0); PANEL]; VECTORS];
    let bias = layer.panel_bias(panel);
    for index in 0..PANEL {
        let mut sums = [simd.splat(bias[index]); VECTORS];
        for entry in layer.entries(panel * PANEL + index) {
            // SAFETY: an entry's input is below `layer.inputs()`, which is how many columns there are.
            let column = unsafe { columns.get_unchecked(entry.input as usize) };
            let weight = simd.splat(entry.weight);
            for (sum, values) in sums.iter_mut().zip(column) {
                *sum = simd.fma(simd.load(values), weight, *sum);
            }
        }
        for (all, sum) in all.iter_mut().zip(sums) {
            all[index] = sum;
        }
    }
    all
}

/// Rows become columns; what is past the last row is zero.
#[inline(always)]
fn turn<S: Simd, const VECTORS: usize>(
    simd: S,
    input: &Rows<'_, f32>,
    rows: Range<usize>,
    columns: &mut [[Lanes; VECTORS]],
) {
    let inputs = columns.len();
    let whole = inputs - inputs % PANEL;
    for vector in 0..VECTORS {
        let rows = rows.clone().skip(vector * PANEL).take(PANEL);
        for start in (0..whole).step_by(PANEL) {
            let mut square = [simd.splat(0.0); PANEL];
            for (lanes, row) in square.iter_mut().zip(rows.clone()) {
                if let Some(values) = input.row(row, inputs)[start..].first_chunk::<PANEL>() {
                    *lanes = simd.load(values);
                }
            }
            for (column, lanes) in columns[start..].iter_mut().zip(simd.transpose(square)) {
                simd.store(lanes, &mut column[vector]);
            }
        }
        for (index, column) in columns.iter_mut().enumerate().skip(whole) {
            column[vector] = [0.0; PANEL];
            for (lane, row) in column[vector].iter_mut().zip(rows.clone()) {
                *lane = input.row(row, inputs)[index];
            }
        }
    }
}
