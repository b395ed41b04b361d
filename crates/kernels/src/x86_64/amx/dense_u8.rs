use super::{Amx, CODES, Operands, ROWS, TILE, Tiles};
use crate::generic::{FinishSums, RunDenseU8};
use crate::simd::Simd;
use crate::{DenseU8, Rows};

/// Runs a layer whose lengths and order of weights were checked. Sums of integers are exact, so that rows which fill no tile give the
/// same answers by AVX-512.
pub(crate) fn dense_u8(token: Amx, mut run: RunDenseU8<'_, '_>) {
    let tiled = run.input.count - run.input.count % ROWS;
    if tiled > 0 {
        let tiles = token.tiles();
        let (all, last_row) = (run.panels.clone(), tiled - ROWS);
        // Weights outermost, so that they come from memory once for all rows.
        for panel in all.clone().step_by(2) {
            for row in (0..tiled).step_by(2 * ROWS) {
                let (rows, panels) = ([row, last_row.min(row + ROWS)], [panel, (all.end - 1).min(panel + 1)]);
                Square { rows, panels }.run(&tiles, &mut run);
            }
        }
    }
    if tiled < run.input.count {
        let RunDenseU8 { layer, panels, input, output } = run;
        let values = &input.values[tiled * input.stride..];
        let input = &Rows { values, stride: input.stride, count: input.count - tiled };
        let output = &mut output.skip(tiled * layer.stride());
        token.avx512().vectorize(RunDenseU8 { layer, panels, input, output });
    }
}

/// Two tiles of rows by two panels. Both rows or both panels may be the same when there is no other.
struct Square {
    /// The first row of each tile.
    rows: [usize; 2],
    panels: [usize; 2],
}

impl Square {
    fn run(&self, tiles: &Tiles, run: &mut RunDenseU8<'_, '_>) {
        let RunDenseU8 { layer, input, output, .. } = run;
        let mut sums = [[[0; 16]; ROWS]; 4];
        let whole = layer.padded_inputs() / CODES;
        let codes = self.rows.map(|row| input.row(row, layer.padded_inputs()).as_ptr());
        let weights = self.panels.map(|panel| layer.panel(panel).as_ptr());
        let operands = Operands { codes, stride: input.stride, weights, steps: whole };
        // SAFETY: the lengths were checked, so that each of these sixteen rows holds `padded_inputs` codes, and a panel sixteen weights
        // for each of them.
        unsafe { tiles.multiply(&operands, &mut sums) };
        if !layer.padded_inputs().is_multiple_of(CODES) {
            let rest = self.rows.map(|row| rest(layer, input, row));
            let codes = rest.each_ref().map(|rest| rest.as_flattened().as_ptr());
            let weights = self.panels.map(|panel| layer.panel_and_beyond(panel)[whole * TILE..].as_ptr());
            let operands = Operands { codes, stride: CODES, weights, steps: 1 };
            // SAFETY: `rest` is sixteen rows of 64 codes. What is read past the end of a panel is the next one or the tail of the
            // layer, which is as long as a tile; it meets codes of zero.
            unsafe { tiles.multiply(&operands, &mut sums) };
        }
        for (index, sums) in sums.iter().enumerate() {
            let (row, panel) = (self.rows[index / 2], self.panels[index % 2]);
            tiles.token.avx512().vectorize(FinishSums { sums, layer, row, panel, output });
        }
    }
}

/// The codes of sixteen rows that are past the last whole step, and zeros.
fn rest(layer: &DenseU8, input: &Rows<'_, u8>, row: usize) -> [[u8; CODES]; ROWS] {
    let mut rest = [[0; CODES]; ROWS];
    let start = layer.padded_inputs() / CODES * CODES;
    for (index, rest) in rest.iter_mut().enumerate() {
        let codes = &input.row(row + index, layer.padded_inputs())[start..];
        rest[..codes.len()].copy_from_slice(codes);
    }
    rest
}
