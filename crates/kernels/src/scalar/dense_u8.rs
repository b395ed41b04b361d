use std::ops::Range;

use super::epilogue;
use crate::panel::PANEL;
use crate::{DenseU8, Output, Rows};

/// Runs panels of the layer on each row of codes.
pub(crate) fn dense_u8(layer: &DenseU8, panels: Range<usize>, input: &Rows<'_, u8>, output: &mut Output<'_>) {
    for row in 0..input.count {
        let codes = input.row(row, layer.padded_inputs());
        for panel in panels.clone() {
            let terms = layer.panel_terms(panel);
            let start = row * layer.stride() + panel * PANEL;
            for (lane, sum) in sums(layer, panel, codes).into_iter().enumerate() {
                let y = terms.real(sum, lane);
                epilogue::finish(y, layer.activation(), start + lane, output);
            }
        }
    }
}

fn sums(layer: &DenseU8, panel: usize, codes: &[u8]) -> [i32; PANEL] {
    let mut sums = [0; PANEL];
    let group = layer.group();
    for (codes, weights) in codes.chunks_exact(group).zip(layer.panel(panel).chunks_exact(group * PANEL)) {
        for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(group)) {
            *sum += codes.iter().zip(weights).map(|(&q, &c)| i32::from(q) * i32::from(c)).sum::<i32>();
        }
    }
    sums
}
