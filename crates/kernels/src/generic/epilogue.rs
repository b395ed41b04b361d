use super::activation;
use super::quantize::Quantizer;
use crate::panel::PANEL;
use crate::simd::Simd;
use crate::{Activation, Output};

/// Applies the activation to the sums of one panel and stores them from `start` on.
#[inline(always)]
pub(super) fn finish<S: Simd>(
    simd: S,
    sums: S::Real,
    activation: Activation,
    start: usize,
    output: &mut Output<'_>,
) {
    let y = activation::apply(simd, activation, sums);
    match output {
        Output::Values(values) => {
            if let Some(place) = values[start..].first_chunk_mut::<PANEL>() {
                simd.store(y, place);
            }
        }
        Output::Codes(codes, quantization) => {
            if let Some(place) = codes[start..].first_chunk_mut::<PANEL>() {
                Quantizer::new(simd, *quantization).store(simd, y, place);
            }
        }
    }
}
