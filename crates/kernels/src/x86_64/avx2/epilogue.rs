use std::arch::x86_64::*;

use super::LANES;
use super::activation;
use super::quantize::Quantizer;
use super::vector::{store, store_bytes};
use crate::panel::PANEL;
use crate::{Activation, Output};

/// Applies the activation to the sums of one panel and stores them from `start` on.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn finish(sums: [__m256; 2], activation: Activation, start: usize, output: &mut Output<'_>) {
    let sums = [activation::apply(activation, sums[0]), activation::apply(activation, sums[1])];
    match output {
        Output::Values(values) => {
            let (halves, _) = values[start..start + PANEL].as_chunks_mut::<LANES>();
            for (sum, half) in sums.into_iter().zip(halves) {
                store(sum, half);
            }
        }
        Output::Codes(codes, quantization) => {
            let quantizer = Quantizer::new(*quantization);
            let (halves, _) = codes[start..start + PANEL].as_chunks_mut::<LANES>();
            for (sum, half) in sums.into_iter().zip(halves) {
                store_bytes(quantizer.codes(sum), half);
            }
        }
    }
}
