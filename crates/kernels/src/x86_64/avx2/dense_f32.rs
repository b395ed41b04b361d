use std::arch::x86_64::*;

use super::epilogue;
use super::tile::Corner;
use super::{LANES, VECTORS};
use crate::panel::PANEL;
use crate::{DenseF32, Output, Rows};

/// The most rows a tile takes: 6 rows by one panel fill 12 of the 16 registers with sums.
const ROWS_MAX: usize = 6;

/// The rows and the layer a tile reads.
struct Operands<'a> {
    layer: &'a DenseF32,
    input: &'a Rows<'a, f32>,
}

/// Full tiles first, panel by panel, so that a panel's weights come from memory once for all rows; then the rows left over.
#[target_feature(enable = "avx2,fma")]
pub(super) fn dense_f32(layer: &DenseF32, input: &Rows<'_, f32>, output: &mut Output<'_>) {
    let operands = Operands { layer, input };
    let tiled = input.count - input.count % ROWS_MAX;
    for panel in 0..layer.panels() {
        for row in (0..tiled).step_by(ROWS_MAX) {
            tile::<ROWS_MAX, 1>(&operands, Corner { row, panel }, output);
        }
    }
    let corner = Corner { row: tiled, panel: 0 };
    // The fewer the rows, the more panels at a time: many sums in flight hide the latency of each addition.
    match input.count - tiled {
        0 => {}
        1 => {
            let corner = across::<1, 4>(&operands, corner, output);
            let corner = across::<1, 2>(&operands, corner, output);
            across::<1, 1>(&operands, corner, output);
        }
        2 => {
            let corner = across::<2, 2>(&operands, corner, output);
            across::<2, 1>(&operands, corner, output);
        }
        3 => {
            let corner = across::<3, 2>(&operands, corner, output);
            across::<3, 1>(&operands, corner, output);
        }
        4 => _ = across::<4, 1>(&operands, corner, output),
        _ => _ = across::<5, 1>(&operands, corner, output),
    }
}

/// Runs tiles from the corner to the right while `PANELS` panels are left. Gives the corner of what remains.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn across<const ROWS: usize, const PANELS: usize>(
    operands: &Operands<'_>,
    mut corner: Corner,
    output: &mut Output<'_>,
) -> Corner {
    while corner.panel + PANELS <= operands.layer.panels() {
        tile::<ROWS, PANELS>(operands, corner, output);
        corner.panel += PANELS;
    }
    corner
}

/// `ROWS` rows by `PANELS` panels, all sums in registers.
#[target_feature(enable = "avx2,fma")]
fn tile<const ROWS: usize, const PANELS: usize>(
    operands: &Operands<'_>,
    corner: Corner,
    output: &mut Output<'_>,
) {
    let Operands { layer, input } = operands;
    let inputs = layer.inputs();
    let rows: [*const f32; ROWS] = std::array::from_fn(|row| input.row(corner.row + row, inputs).as_ptr());
    let panels: [*const f32; PANELS] =
        std::array::from_fn(|panel| layer.panel(corner.panel + panel).as_ptr());
    let mut sums = [[[_mm256_setzero_ps(); VECTORS]; PANELS]; ROWS];
    for panel in 0..PANELS {
        let (bias, _) = layer.panel_bias(corner.panel + panel).as_chunks::<LANES>();
        for row in &mut sums {
            row[panel] = [super::vector::load(&bias[0]), super::vector::load(&bias[1])];
        }
    }
    for input in 0..inputs {
        for panel in 0..PANELS {
            // SAFETY: a panel holds `inputs · PANEL` values and `input < inputs`.
            let weights = unsafe { panels[panel].add(input * PANEL) };
            // SAFETY: so sixteen values lie from there on.
            let weights = unsafe { [_mm256_loadu_ps(weights), _mm256_loadu_ps(weights.add(LANES))] };
            for row in 0..ROWS {
                // SAFETY: a row holds `inputs` values and `input < inputs`.
                let x = unsafe { _mm256_broadcast_ss(&*rows[row].add(input)) };
                for (sum, weights) in sums[row][panel].iter_mut().zip(weights) {
                    *sum = _mm256_fmadd_ps(x, weights, *sum);
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (panel, sums) in sums.into_iter().enumerate() {
            let start = (corner.row + row) * layer.stride() + (corner.panel + panel) * PANEL;
            epilogue::finish(sums, layer.activation(), start, output);
        }
    }
}
