//! AVX-512 with VNNI: sixteen lanes, so that a panel takes one register of thirty-two.
//!
//! Every `unsafe` block below rests on the token: its holder has AVX-512 F, BW, DQ, VL and VNNI. Loads and stores go through
//! references that cover what is read or written.

use std::arch::asm;
use std::arch::x86_64::*;

use crate::Bf16;
use crate::simd::{Kernel, Simd};

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// Proof that this processor has AVX-512 F, BW, DQ, VL and VNNI. Older ones with AVX-512 but without VNNI run AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has_all.then_some(Self(()))
    }

    /// No proof of anything, for tests of what goes along with AVX-512 but has no use for it.
    #[cfg(all(test, target_os = "linux", not(miri)))]
    pub(crate) fn unproven() -> Self {
        Self(())
    }
}

impl Simd for Avx512 {
    type Real = __m512;
    type Integer = __m512i;
    type Weights = __m512i;
    type Codes = __m512i;

    const SUMS: usize = 24;
    const GROUP: usize = 4;

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn compiled<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token.
        unsafe { compiled(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> Self::Real {
        // SAFETY: the token, and the reference covers sixteen values.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_bf16(self, values: &[Bf16; 16]) -> Self::Real {
        // SAFETY: the token, and the reference covers sixteen values of two bytes.
        unsafe {
            let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(values.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves))
        }
    }

    #[inline(always)]
    fn load_codes(self, codes: &[i8; 16]) -> Self::Real {
        // SAFETY: the token, and the reference covers sixteen bytes.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(codes.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store(self, vector: Self::Real, values: &mut [f32; 16]) {
        // SAFETY: the token, and the reference covers sixteen values.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn add(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    /// Such assembly keeps its order among others of its kind, and what is read from memory stays behind it, since as far as the compiler
    /// knows it writes memory.
    #[inline(always)]
    fn fma_in_order(self, a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real {
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn assembly(a: __m512, b: __m512, mut c: __m512) -> __m512 {
            // SAFETY: it changes one register, and flags of floating-point operations.
            unsafe {
                asm!("vfmadd231ps {c}, {a}, {b}", a = in(zmm_reg) a, b = in(zmm_reg) b, c = inout(zmm_reg) c,
                    options(nostack));
            }
            c
        }
        // SAFETY: the token.
        unsafe { assembly(a, b, c) }
    }

    #[inline(always)]
    fn maximum(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn minimum(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn round(self, a: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_roundscale_ps::<NEAREST>(a) }
    }

    #[inline(always)]
    fn magnitude(self, a: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_andnot_ps(self.splat(-0.0), a) }
    }

    #[inline(always)]
    fn negate(self, a: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_xor_ps(self.splat(-0.0), a) }
    }

    #[inline(always)]
    fn with_sign(self, a: Self::Real, sign: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_or_ps(a, _mm512_and_ps(self.splat(-0.0), sign)) }
    }

    #[inline(always)]
    fn where_less(self, a: Self::Real, b: Self::Real, then: Self::Real, otherwise: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), otherwise, then) }
    }

    #[inline(always)]
    fn unless_nan(self, a: Self::Real, otherwise: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a, otherwise) }
    }

    #[inline(always)]
    fn all_finite(self, a: Self::Real) -> bool {
        let infinite = self.splat(f32::INFINITY);
        // SAFETY: the token.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.magnitude(a), infinite) == 0xffff }
    }

    #[inline(always)]
    fn scale(self, a: Self::Real, n: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe {
            let n = _mm512_cvtps_epi32(n);
            let half = _mm512_srai_epi32::<1>(n);
            let rest = _mm512_sub_epi32(n, half);
            _mm512_mul_ps(_mm512_mul_ps(a, self.power_of_two(half)), self.power_of_two(rest))
        }
    }

    /// Pairs of lanes, then pairs of pairs, then quarters of the vectors change places.
    #[inline(always)]
    fn transpose(self, square: [Self::Real; 16]) -> [Self::Real; 16] {
        let mut quads = square;
        for (quad, rows) in quads.as_chunks_mut::<4>().0.iter_mut().zip(square.as_chunks::<4>().0) {
            *quad = self.transpose_within_quarters(*rows);
        }
        let mut halves = quads;
        let mut whole = quads;
        for i in 0..4 {
            // SAFETY: the token.
            unsafe {
                halves[i] = _mm512_shuffle_f32x4::<0x88>(quads[i], quads[i + 4]);
                halves[i + 4] = _mm512_shuffle_f32x4::<0xdd>(quads[i], quads[i + 4]);
                halves[i + 8] = _mm512_shuffle_f32x4::<0x88>(quads[i + 8], quads[i + 12]);
                halves[i + 12] = _mm512_shuffle_f32x4::<0xdd>(quads[i + 8], quads[i + 12]);
                whole[i] = _mm512_shuffle_f32x4::<0x88>(halves[i], halves[i + 8]);
                whole[i + 8] = _mm512_shuffle_f32x4::<0xdd>(halves[i], halves[i + 8]);
                whole[i + 4] = _mm512_shuffle_f32x4::<0x88>(halves[i + 4], halves[i + 12]);
                whole[i + 12] = _mm512_shuffle_f32x4::<0xdd>(halves[i + 4], halves[i + 12]);
            }
        }
        whole
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        // SAFETY: the token; a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    fn zero(self) -> Self::Integer {
        // SAFETY: the token.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn load_integer(self, values: &[i32; 16]) -> Self::Integer {
        // SAFETY: the token, and the reference covers sixteen values.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }

    #[inline(always)]
    fn sub_integer(self, a: Self::Integer, b: Self::Integer) -> Self::Integer {
        // SAFETY: the token.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn to_real(self, a: Self::Integer) -> Self::Real {
        // SAFETY: the token.
        unsafe { _mm512_cvtepi32_ps(a) }
    }

    #[inline(always)]
    fn store_codes(self, steps: Self::Real, zero_point: u8, codes: &mut [u8; 16]) {
        // SAFETY: the token, and the reference covers sixteen bytes.
        unsafe {
            let zero_point = _mm512_set1_epi32(i32::from(zero_point));
            let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(steps), zero_point));
            _mm_storeu_si128(codes.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn weights(self, block: &[i8; 64], _part: usize) -> Self::Weights {
        // SAFETY: the token, and the reference covers 64 bytes.
        unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
    }

    #[inline(always)]
    fn codes(self, four: [u8; 4], _part: usize) -> Self::Codes {
        // SAFETY: the token.
        unsafe { _mm512_set1_epi32(i32::from_le_bytes(four)) }
    }

    #[inline(always)]
    fn dot_rows(self, sums: Self::Integer, codes: &[u8; 64], weights: [u8; 4]) -> Self::Integer {
        // SAFETY: the token, and the reference covers 64 bytes.
        unsafe {
            let codes = _mm512_loadu_si512(codes.as_ptr().cast());
            let weights = _mm512_set1_epi32(i32::from_le_bytes(weights));
            _mm512_dpbusd_epi32(sums, codes, weights)
        }
    }

    /// `vpdpbusd` adds four products of 8 bits to each 32-bit sum without saturating on the way.
    #[inline(always)]
    fn dot(self, sums: Self::Integer, weights: Self::Weights, codes: Self::Codes) -> Self::Integer {
        // SAFETY: the token.
        unsafe { _mm512_dpbusd_epi32(sums, codes, weights) }
    }

    #[inline(always)]
    fn dot_in_order(self, sums: Self::Integer, weights: Self::Weights, codes: Self::Codes) -> Self::Integer {
        #[inline]
        #[target_feature(enable = "avx512f,avx512vnni")]
        fn assembly(mut sums: __m512i, codes: __m512i, weights: __m512i) -> __m512i {
            // SAFETY: it changes one register and no flag.
            unsafe {
                asm!("vpdpbusd {sums}, {codes}, {weights}", sums = inout(zmm_reg) sums, codes = in(zmm_reg) codes,
                    weights = in(zmm_reg) weights, options(nostack, preserves_flags));
            }
            sums
        }
        // SAFETY: the token.
        unsafe { assembly(sums, codes, weights) }
    }
}

impl Avx512 {
    /// Transposes the square of four vectors in each quarter of 128 bits.
    #[inline(always)]
    fn transpose_within_quarters(self, rows: [__m512; 4]) -> [__m512; 4] {
        // SAFETY: the token.
        unsafe {
            let [a, b, c, d] = rows;
            let low =
                [_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpacklo_ps(c, d))];
            let high =
                [_mm512_castps_pd(_mm512_unpackhi_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(c, d))];
            [
                _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1])),
                _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1])),
                _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1])),
                _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1])),
            ]
        }
    }

    #[inline(always)]
    fn power_of_two(self, n: __m512i) -> __m512 {
        // SAFETY: the token.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(n, _mm512_set1_epi32(127)))) }
    }
}
