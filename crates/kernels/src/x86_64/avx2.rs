//! AVX2 with FMA: eight lanes, so that a panel takes two registers of sixteen.
//!
//! Every `unsafe` block below rests on the token: its holder has AVX2 and FMA. Loads and stores go through references that cover
//! what is read or written.

mod couples;
mod dense_u8;

use std::arch::x86_64::*;

use crate::Bf16;
use crate::simd::{Kernel, Simd};

pub(crate) use dense_u8::{FITTING_GROUP, WIDE_ROWS_MIN, dense_u8};

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// Proof that this processor has AVX2 and FMA.
///
/// With `PAIRS_FIT`, only layers whose products of neighbours fit 16 bits two by two are multiplied with it: see `pairs_fit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2<const PAIRS_FIT: bool = false>(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has_both.then_some(Self(()))
    }

    /// The same instruction set for layers whose pairs fit.
    fn for_fitting_pairs(self) -> Avx2<true> {
        Avx2(())
    }
}

impl<const PAIRS_FIT: bool> Simd for Avx2<PAIRS_FIT> {
    type Real = [__m256; 2];
    type Integer = [__m256i; 2];
    type Weights = [__m256i; 2];
    type Codes = __m256i;

    const SUMS: usize = 6;
    const GROUP: usize = if PAIRS_FIT { FITTING_GROUP } else { 2 };

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<K: Kernel, const PAIRS_FIT: bool>(token: Avx2<PAIRS_FIT>, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token.
        unsafe { compiled(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> Self::Real {
        let start = values.as_ptr();
        // SAFETY: the token, and the reference covers sixteen values.
        unsafe { [_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))] }
    }

    #[inline(always)]
    fn load_bf16(self, values: &[Bf16; 16]) -> Self::Real {
        let start = values.as_ptr().cast::<__m128i>();
        // SAFETY: the token, and the reference covers sixteen values of two bytes.
        unsafe {
            let first = _mm256_cvtepu16_epi32(_mm_loadu_si128(start));
            let second = _mm256_cvtepu16_epi32(_mm_loadu_si128(start.add(1)));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(first)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(second)),
            ]
        }
    }

    #[inline(always)]
    fn load_codes(self, codes: &[i8; 16]) -> Self::Real {
        // SAFETY: the token, and the reference covers sixteen bytes.
        unsafe {
            let all = _mm_loadu_si128(codes.as_ptr().cast());
            let upper = _mm_unpackhi_epi64(all, all);
            [_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(upper))]
        }
    }

    #[inline(always)]
    fn store(self, vector: Self::Real, values: &mut [f32; 16]) {
        let start = values.as_mut_ptr();
        // SAFETY: the token, and the reference covers sixteen values.
        unsafe {
            _mm256_storeu_ps(start, vector[0]);
            _mm256_storeu_ps(start.add(8), vector[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn maximum(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn minimum(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn round(self, a: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])] }
    }

    #[inline(always)]
    fn magnitude(self, a: Self::Real) -> Self::Real {
        let [sign, _] = self.splat(-0.0);
        // SAFETY: the token.
        unsafe { [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])] }
    }

    #[inline(always)]
    fn negate(self, a: Self::Real) -> Self::Real {
        let [sign, _] = self.splat(-0.0);
        // SAFETY: the token.
        unsafe { [_mm256_xor_ps(sign, a[0]), _mm256_xor_ps(sign, a[1])] }
    }

    #[inline(always)]
    fn with_sign(self, a: Self::Real, sign: Self::Real) -> Self::Real {
        let [mask, _] = self.splat(-0.0);
        // SAFETY: the token.
        unsafe {
            let signs = [_mm256_and_ps(mask, sign[0]), _mm256_and_ps(mask, sign[1])];
            [_mm256_or_ps(a[0], signs[0]), _mm256_or_ps(a[1], signs[1])]
        }
    }

    #[inline(always)]
    fn where_less(self, a: Self::Real, b: Self::Real, then: Self::Real, otherwise: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe {
            let less = [_mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])];
            [
                _mm256_blendv_ps(otherwise[0], then[0], less[0]),
                _mm256_blendv_ps(otherwise[1], then[1], less[1]),
            ]
        }
    }

    #[inline(always)]
    fn unless_nan(self, a: Self::Real, otherwise: Self::Real) -> Self::Real {
        // SAFETY: the token.
        unsafe {
            let nan = [_mm256_cmp_ps::<_CMP_UNORD_Q>(a[0], a[0]), _mm256_cmp_ps::<_CMP_UNORD_Q>(a[1], a[1])];
            [_mm256_blendv_ps(a[0], otherwise[0], nan[0]), _mm256_blendv_ps(a[1], otherwise[1], nan[1])]
        }
    }

    #[inline(always)]
    fn all_finite(self, a: Self::Real) -> bool {
        let [infinite, _] = self.splat(f32::INFINITY);
        let magnitude = self.magnitude(a);
        // SAFETY: the token.
        unsafe {
            let first = _mm256_cmp_ps::<_CMP_LT_OQ>(magnitude[0], infinite);
            let second = _mm256_cmp_ps::<_CMP_LT_OQ>(magnitude[1], infinite);
            _mm256_movemask_ps(_mm256_and_ps(first, second)) == 0xff
        }
    }

    #[inline(always)]
    fn scale(self, a: Self::Real, n: Self::Real) -> Self::Real {
        [self.scale_half(a[0], n[0]), self.scale_half(a[1], n[1])]
    }

    /// Four squares of eight; the two off the diagonal change places.
    #[inline(always)]
    fn transpose(self, square: [Self::Real; 16]) -> [Self::Real; 16] {
        let mut quarters = [[square[0][0]; 8]; 4];
        for i in 0..8 {
            [quarters[0][i], quarters[1][i]] = square[i];
            [quarters[2][i], quarters[3][i]] = square[i + 8];
        }
        let turned = [
            self.transpose_eight(quarters[0]),
            self.transpose_eight(quarters[1]),
            self.transpose_eight(quarters[2]),
            self.transpose_eight(quarters[3]),
        ];
        let mut result = square;
        for i in 0..8 {
            result[i] = [turned[0][i], turned[2][i]];
            result[i + 8] = [turned[1][i], turned[3][i]];
        }
        result
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        // SAFETY: the token; a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    fn zero(self) -> Self::Integer {
        // SAFETY: the token.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn load_integer(self, values: &[i32; 16]) -> Self::Integer {
        let start = values.as_ptr().cast::<__m256i>();
        // SAFETY: the token, and the reference covers sixteen values.
        unsafe { [_mm256_loadu_si256(start), _mm256_loadu_si256(start.add(1))] }
    }

    #[inline(always)]
    fn sub_integer(self, a: Self::Integer, b: Self::Integer) -> Self::Integer {
        // SAFETY: the token.
        unsafe { [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn to_real(self, a: Self::Integer) -> Self::Real {
        // SAFETY: the token.
        unsafe { [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])] }
    }

    #[inline(always)]
    fn store_codes(self, steps: Self::Real, zero_point: u8, codes: &mut [u8; 16]) {
        // SAFETY: the token, and the reference covers sixteen bytes.
        unsafe {
            let zero_point = _mm256_set1_epi32(i32::from(zero_point));
            let first = _mm256_add_epi32(_mm256_cvtps_epi32(steps[0]), zero_point);
            let second = _mm256_add_epi32(_mm256_cvtps_epi32(steps[1]), zero_point);
            // Packing works within halves of 128 bits; the permutation puts the quarters back in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(first, second));
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(codes.as_mut_ptr().cast(), bytes);
        }
    }

    /// As they are where the sums of the 8-bit products that `vpmaddubsw` makes two by two fit its 16 bits; else widened to 16 bits, since
    /// it would saturate: `2 · 255 · 127` does not fit.
    #[inline(always)]
    fn weights(self, block: &[i8; 64], part: usize) -> Self::Weights {
        let start = block.as_ptr().cast::<__m128i>();
        // SAFETY: the token, and the reference covers the whole block, which is one part, or both parts of 32 bytes.
        unsafe {
            if PAIRS_FIT {
                let start = start.cast::<__m256i>();
                return [_mm256_loadu_si256(start), _mm256_loadu_si256(start.add(1))];
            }
            let start = start.add(part * 2);
            [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(start)),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(start.add(1))),
            ]
        }
    }

    /// All four as they are, or two, widened to 16 bits.
    #[inline(always)]
    fn codes(self, four: [u8; 4], part: usize) -> Self::Codes {
        const ZERO: i32 = 0x80;
        let first = part as i32 * 2;
        // SAFETY: the token.
        unsafe {
            if PAIRS_FIT {
                return _mm256_set1_epi32(i32::from_le_bytes(four));
            }
            let spread = _mm256_set1_epi32(first | (ZERO << 8) | ((first + 1) << 16) | (ZERO << 24));
            _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(four)), spread)
        }
    }

    #[inline(always)]
    fn dot_rows(self, sums: Self::Integer, codes: &[u8; 64], weights: [u8; 4]) -> Self::Integer {
        let start = codes.as_ptr().cast::<__m256i>();
        // SAFETY: the token, and the reference covers both halves of 32 bytes.
        unsafe {
            let weights = _mm256_set1_epi32(i32::from_le_bytes(weights));
            let products = [
                _mm256_madd_epi16(_mm256_loadu_si256(start), weights),
                _mm256_madd_epi16(_mm256_loadu_si256(start.add(1)), weights),
            ];
            [_mm256_add_epi32(sums[0], products[0]), _mm256_add_epi32(sums[1], products[1])]
        }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Integer, weights: Self::Weights, codes: Self::Codes) -> Self::Integer {
        // SAFETY: the token.
        unsafe {
            let (codes, weights) = if PAIRS_FIT {
                let [first, second] = weights;
                let pairs = [_mm256_maddubs_epi16(codes, first), _mm256_maddubs_epi16(codes, second)];
                (_mm256_set1_epi16(1), pairs)
            } else {
                (codes, weights)
            };
            let products = [_mm256_madd_epi16(codes, weights[0]), _mm256_madd_epi16(codes, weights[1])];
            [_mm256_add_epi32(sums[0], products[0]), _mm256_add_epi32(sums[1], products[1])]
        }
    }
}

impl<const PAIRS_FIT: bool> Avx2<PAIRS_FIT> {
    /// Pairs of lanes, then pairs of pairs, then halves of the vectors change places.
    #[inline(always)]
    fn transpose_eight(self, rows: [__m256; 8]) -> [__m256; 8] {
        let [a, b, c, d, e, f, g, h] = rows;
        let upper = self.transpose_within_halves([a, b, c, d]);
        let lower = self.transpose_within_halves([e, f, g, h]);
        let mut turned = rows;
        for i in 0..4 {
            // SAFETY: the token.
            unsafe {
                turned[i] = _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]);
                turned[i + 4] = _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]);
            }
        }
        turned
    }

    /// Transposes the square of four vectors in each half of 128 bits.
    #[inline(always)]
    fn transpose_within_halves(self, rows: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: the token.
        unsafe {
            let [a, b, c, d] = rows;
            let low =
                [_mm256_castps_pd(_mm256_unpacklo_ps(a, b)), _mm256_castps_pd(_mm256_unpacklo_ps(c, d))];
            let high =
                [_mm256_castps_pd(_mm256_unpackhi_ps(a, b)), _mm256_castps_pd(_mm256_unpackhi_ps(c, d))];
            [
                _mm256_castpd_ps(_mm256_unpacklo_pd(low[0], low[1])),
                _mm256_castpd_ps(_mm256_unpackhi_pd(low[0], low[1])),
                _mm256_castpd_ps(_mm256_unpacklo_pd(high[0], high[1])),
                _mm256_castpd_ps(_mm256_unpackhi_pd(high[0], high[1])),
            ]
        }
    }

    #[inline(always)]
    fn scale_half(self, a: __m256, n: __m256) -> __m256 {
        // SAFETY: the token.
        unsafe {
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            let rest = _mm256_sub_epi32(n, half);
            _mm256_mul_ps(_mm256_mul_ps(a, self.power_of_two(half)), self.power_of_two(rest))
        }
    }

    #[inline(always)]
    fn power_of_two(self, n: __m256i) -> __m256 {
        // SAFETY: the token.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, _mm256_set1_epi32(127)))) }
    }
}
