use std::arch::x86_64::*;

use super::LANES;
use super::activation::exp;
use super::vector::{load, store};
use crate::scalar::softmax::sum_of_lanes;

/// Lanes past the end hold negative infinity, whose exponential adds nothing.
#[target_feature(enable = "avx2,fma")]
pub(super) fn softmax(logits: &[f32], probabilities: &mut [f32]) {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let (out, out_rest) = probabilities.as_chunks_mut::<LANES>();
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let last = load(&last);

    let max = chunks.iter().fold(last, |max, chunk| _mm256_max_ps(max, load(chunk)));
    let max = _mm256_set1_ps(max_of_lanes(max));
    let mut sums = _mm256_setzero_ps();
    for (chunk, out) in chunks.iter().zip(&mut *out) {
        let e = exp(_mm256_sub_ps(load(chunk), max));
        sums = _mm256_add_ps(sums, e);
        store(e, out);
    }
    let last = exp(_mm256_sub_ps(last, max));
    sums = _mm256_add_ps(sums, last);

    let mut lanes = [0.0; LANES];
    store(sums, &mut lanes);
    let total = _mm256_set1_ps(sum_of_lanes(lanes));
    for out in out {
        let e = load(out);
        store(_mm256_div_ps(e, total), out);
    }
    let mut last_out = [0.0; LANES];
    store(_mm256_div_ps(last, total), &mut last_out);
    out_rest.copy_from_slice(&last_out[..out_rest.len()]);
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn max_of_lanes(vector: __m256) -> f32 {
    let four = _mm_max_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps::<1>(vector));
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
}
