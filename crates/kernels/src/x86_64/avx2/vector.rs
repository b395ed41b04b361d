use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_storel_epi64, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_storeu_ps,
};

use super::LANES;

/// Loads eight `f32`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load(values: &[f32; LANES]) -> __m256 {
    // SAFETY: the reference covers the 32 bytes that are read.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// Loads eight `i32`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_i32(values: &[i32; LANES]) -> __m256i {
    // SAFETY: the reference covers the 32 bytes that are read.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Stores eight `f32`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store(vector: __m256, values: &mut [f32; LANES]) {
    // SAFETY: the reference covers the 32 bytes that are written.
    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), vector) }
}

/// Stores the low eight bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_bytes(vector: __m128i, bytes: &mut [u8; LANES]) {
    // SAFETY: the reference covers the 8 bytes that are written.
    unsafe { _mm_storel_epi64(bytes.as_mut_ptr().cast(), vector) }
}
