use std::ops::Range;

use super::epilogue;
use crate::panel::PANEL;
use crate::weight::Weight;
use crate::{DenseReal, Output, Rows};

/// Runs panels of the layer on each row.
pub(crate) fn dense_real<W: Weight>(
    layer: &DenseReal<W>,
    panels: Range<usize>,
    input: &Rows<'_, f32>,
    output: &mut Output<'_>,
) {
    for row in 0..input.count {
        let x = input.row(row, layer.inputs());
        for panel in panels.clone() {
            let start = row * layer.stride() + panel * PANEL;
            for (lane, sum) in sums(layer, panel, x).into_iter().enumerate() {
                epilogue::finish(sum, layer.activation(), start + lane, output);
            }
        }
    }
}

fn sums<W: Weight>(layer: &DenseReal<W>, panel: usize, x: &[f32]) -> [f32; PANEL] {
    let mut sums = *layer.panel_bias(panel);
    let scales = layer.panel_scales(panel);
    for (&x, weights) in x.iter().zip(layer.panel(panel)) {
        for ((sum, weight), &scale) in sums.iter_mut().zip(weights).zip(scales) {
            *sum = x.mul_add(weight.value(scale), *sum);
        }
    }
    sums
}
