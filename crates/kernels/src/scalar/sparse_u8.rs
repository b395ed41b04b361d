use super::epilogue;
use crate::panel::{CODES_PER_STEP, PANEL};
use crate::{Output, Rows, SparseU8};

/// Runs the layer on each row of codes.
pub(crate) fn sparse_u8(layer: &SparseU8, input: &Rows<'_, u8>, output: &mut Output<'_>) {
    for row in 0..input.count {
        let (codes, _) = input.row(row, layer.padded_inputs()).as_chunks::<CODES_PER_STEP>();
        for index in 0..layer.panels() * PANEL {
            let products = layer.entries(index).iter().flat_map(|entry| {
                let codes = codes[entry.block as usize];
                let weights = entry.weights.map(u8::cast_signed);
                codes.into_iter().zip(weights).map(|(code, weight)| i32::from(code) * i32::from(weight))
            });
            let y = layer.panel_terms(index / PANEL).real(products.sum(), index % PANEL);
            epilogue::finish(y, layer.activation(), row * layer.stride() + index, output);
        }
    }
}
