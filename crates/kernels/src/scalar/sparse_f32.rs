use super::epilogue;
use crate::panel::PANEL;
use crate::{Output, Rows, SparseF32};

/// Runs the layer on each row.
pub(crate) fn sparse_f32(layer: &SparseF32, input: &Rows<'_, f32>, output: &mut Output<'_>) {
    for row in 0..input.count {
        let x = input.row(row, layer.inputs());
        for index in 0..layer.panels() * PANEL {
            let bias = layer.panel_bias(index / PANEL)[index % PANEL];
            let entries = layer.entries(index).iter();
            let sum = entries.fold(bias, |sum, entry| x[entry.input as usize].mul_add(entry.weight, sum));
            epilogue::finish(sum, layer.activation(), row * layer.stride() + index, output);
        }
    }
}
