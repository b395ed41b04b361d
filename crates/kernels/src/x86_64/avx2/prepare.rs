use std::arch::x86_64::*;

use super::LANES;
use super::vector::{load, store};
use crate::preparation::Parts;
use crate::scalar;

/// Whole vectors without a branch; when one holds a bad value the definition finds it and says which.
#[target_feature(enable = "avx2,fma")]
pub(super) fn prepare(parts: Parts<'_>, raw: &[f32], prepared: &mut [f32]) -> Result<(), usize> {
    let (chunks, rest) = raw.as_chunks::<LANES>();
    let (out, out_rest) = prepared.as_chunks_mut::<LANES>();
    let mut bad = _mm256_setzero_ps();
    for (index, (chunk, out)) in chunks.iter().zip(out).enumerate() {
        let mut x = load(chunk);
        if let Some(values) = parts.impute {
            let is_nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x);
            x = _mm256_blendv_ps(x, load(lanes(values, index)), is_nan);
        }
        let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
        let infinite = _mm256_set1_ps(f32::INFINITY);
        bad = _mm256_or_ps(bad, _mm256_cmp_ps::<_CMP_NLT_UQ>(magnitude, infinite));
        if let Some((mean, scale)) = parts.standardise {
            x = _mm256_div_ps(_mm256_sub_ps(x, load(lanes(mean, index))), load(lanes(scale, index)));
        }
        store(x, out);
    }
    if _mm256_movemask_ps(bad) != 0 {
        return scalar::prepare::prepare(parts, raw, prepared);
    }
    let start = chunks.len() * LANES;
    scalar::prepare::prepare(parts.tail(start), rest, out_rest).map_err(|feature| start + feature)
}

/// Vector `index` of `values`.
#[inline]
fn lanes(values: &[f32], index: usize) -> &[f32; LANES] {
    &values.as_chunks::<LANES>().0[index]
}
