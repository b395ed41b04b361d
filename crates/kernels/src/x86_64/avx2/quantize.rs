use std::arch::x86_64::*;

use super::LANES;
use super::vector::{load, store_bytes};
use crate::{Quantization, scalar};

#[target_feature(enable = "avx2,fma")]
pub(super) fn quantize(values: &[f32], quantization: Quantization, codes: &mut [u8]) {
    let quantizer = Quantizer::new(quantization);
    let (values, last_values) = values.as_chunks::<LANES>();
    let (codes, last_codes) = codes.as_chunks_mut::<LANES>();
    for (values, codes) in values.iter().zip(codes) {
        store_bytes(quantizer.codes(load(values)), codes);
    }
    scalar::quantize::quantize(last_values, quantization, last_codes);
}

/// A quantization spread over lanes.
pub(super) struct Quantizer {
    scale: __m256,
    zero_point: __m256i,
    low: __m256,
    high: __m256,
}

impl Quantizer {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn new(quantization: Quantization) -> Self {
        let (low, high) = quantization.limits();
        Self {
            scale: _mm256_set1_ps(quantization.scale),
            zero_point: _mm256_set1_epi32(i32::from(quantization.zero_point)),
            low: _mm256_set1_ps(low),
            high: _mm256_set1_ps(high),
        }
    }

    /// The codes of eight values, in the low eight bytes.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn codes(&self, values: __m256) -> __m128i {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        let step = _mm256_round_ps::<NEAREST>(_mm256_div_ps(values, self.scale));
        let step = _mm256_min_ps(_mm256_max_ps(step, self.low), self.high);
        let codes = _mm256_add_epi32(_mm256_cvtps_epi32(step), self.zero_point);
        let words = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
        _mm_packus_epi16(words, words)
    }
}
