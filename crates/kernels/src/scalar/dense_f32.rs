use super::epilogue;
use crate::panel::PANEL;
use crate::{DenseF32, Output, Rows};

/// Runs the layer on each row.
pub(crate) fn dense_f32(layer: &DenseF32, input: &Rows<'_, f32>, output: &mut Output<'_>) {
    for row in 0..input.count {
        let x = input.row(row, layer.inputs());
        for panel in 0..layer.panels() {
            let start = row * layer.stride() + panel * PANEL;
            for (lane, sum) in sums(layer, panel, x).into_iter().enumerate() {
                epilogue::finish(sum, layer.activation(), start + lane, output);
            }
        }
    }
}

fn sums(layer: &DenseF32, panel: usize, x: &[f32]) -> [f32; PANEL] {
    let mut sums = [0.0; PANEL];
    sums.copy_from_slice(layer.panel_bias(panel));
    for (&x, weights) in x.iter().zip(layer.panel(panel).chunks_exact(PANEL)) {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum = x.mul_add(weight, *sum);
        }
    }
    sums
}
