//! NEON with the dot product extension: four lanes, so that a panel takes four registers of thirty-two.
//!
//! NEON is part of every 64-bit ARM processor; only the dot product needs the token.

use std::arch::aarch64::*;
use std::arch::asm;
use std::array::from_fn;

use crate::Bf16;
use crate::simd::{Kernel, Simd};

/// Proof that this processor has the dot product extension (ARMv8.2 and later).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(()))
    }
}

impl Simd for Neon {
    type Real = [float32x4_t; 4];
    type Integer = [int32x4_t; 4];
    type Weights = [int8x16_t; 4];
    type Codes = int8x16_t;

    const SUMS: usize = 6;
    const GROUP: usize = 4;
    /// `sdot` multiplies signed by signed numbers, so codes are taken relative to 128.
    const CODE_OFFSET: u8 = 128;

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon,dotprod")]
        fn compiled<K: Kernel>(token: Neon, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token.
        unsafe { compiled(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> Self::Real {
        // SAFETY: NEON is always there, and the reference covers what is read or written.
        unsafe { from_fn(|quarter| vld1q_f32(values.as_ptr().add(4 * quarter))) }
    }

    #[inline(always)]
    fn load_bf16(self, values: &[Bf16; 16]) -> Self::Real {
        let start = values.as_ptr().cast::<u16>();
        // SAFETY: NEON is always there, and the reference covers four times four values of two bytes.
        unsafe {
            from_fn(|quarter| vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(start.add(4 * quarter)))))
        }
    }

    #[inline(always)]
    fn load_codes(self, codes: &[i8; 16]) -> Self::Real {
        // SAFETY: NEON is always there, and the reference covers sixteen bytes.
        unsafe {
            let all = vld1q_s8(codes.as_ptr());
            let words = [vmovl_s8(vget_low_s8(all)), vmovl_s8(vget_high_s8(all))];
            let quarters = [
                vmovl_s16(vget_low_s16(words[0])),
                vmovl_s16(vget_high_s16(words[0])),
                vmovl_s16(vget_low_s16(words[1])),
                vmovl_s16(vget_high_s16(words[1])),
            ];
            from_fn(|i| vcvtq_f32_s32(quarters[i]))
        }
    }

    #[inline(always)]
    fn store(self, vector: Self::Real, values: &mut [f32; 16]) {
        // SAFETY: NEON is always there, and the reference covers what is read or written.
        unsafe {
            for (quarter, vector) in vector.into_iter().enumerate() {
                vst1q_f32(values.as_mut_ptr().add(4 * quarter), vector);
            }
        }
    }

    #[inline(always)]
    fn add(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vaddq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn sub(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vsubq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn mul(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vmulq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn div(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vdivq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn fma(self, a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vfmaq_f32(c[i], a[i], b[i])) }
    }

    /// Not `fmax`, which would pass a NaN of either side on.
    #[inline(always)]
    fn maximum(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i])) }
    }

    #[inline(always)]
    fn minimum(self, a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i])) }
    }

    #[inline(always)]
    fn round(self, a: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { a.map(|a| vrndnq_f32(a)) }
    }

    #[inline(always)]
    fn magnitude(self, a: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { a.map(|a| vabsq_f32(a)) }
    }

    #[inline(always)]
    fn negate(self, a: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { a.map(|a| vnegq_f32(a)) }
    }

    #[inline(always)]
    fn with_sign(self, a: Self::Real, sign: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vbslq_f32(vdupq_n_u32(1 << 31), sign[i], a[i])) }
    }

    #[inline(always)]
    fn where_less(self, a: Self::Real, b: Self::Real, then: Self::Real, otherwise: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vbslq_f32(vcltq_f32(a[i], b[i]), then[i], otherwise[i])) }
    }

    #[inline(always)]
    fn unless_nan(self, a: Self::Real, otherwise: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vbslq_f32(vceqq_f32(a[i], a[i]), a[i], otherwise[i])) }
    }

    #[inline(always)]
    fn all_finite(self, a: Self::Real) -> bool {
        // SAFETY: NEON is always there.
        unsafe {
            let finite = a.map(|a| vcltq_f32(vabsq_f32(a), vdupq_n_f32(f32::INFINITY)));
            let all = vandq_u32(vandq_u32(finite[0], finite[1]), vandq_u32(finite[2], finite[3]));
            vminvq_u32(all) != 0
        }
    }

    #[inline(always)]
    fn scale(self, a: Self::Real, n: Self::Real) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe {
            from_fn(|i| {
                let n = vcvtq_s32_f32(n[i]);
                let half = vshrq_n_s32::<1>(n);
                let rest = vsubq_s32(n, half);
                vmulq_f32(vmulq_f32(a[i], power_of_two(half)), power_of_two(rest))
            })
        }
    }

    /// Sixteen squares of four; those off the diagonal change places.
    #[inline(always)]
    fn transpose(self, square: [Self::Real; 16]) -> [Self::Real; 16] {
        let mut turned = square;
        for i in 0..4 {
            for j in 0..4 {
                let rows = from_fn(|row| square[4 * i + row][j]);
                for (row, values) in transpose_four(rows).into_iter().enumerate() {
                    turned[4 * j + row][i] = values;
                }
            }
        }
        turned
    }

    /// The intrinsic is not stable; the processor sees that weights are read one after the other.
    #[inline(always)]
    fn prefetch(self, _: *const u8) {}

    #[inline(always)]
    fn zero(self) -> Self::Integer {
        // SAFETY: NEON is always there.
        unsafe { [vdupq_n_s32(0); 4] }
    }

    #[inline(always)]
    fn load_integer(self, values: &[i32; 16]) -> Self::Integer {
        // SAFETY: NEON is always there, and the reference covers what is read or written.
        unsafe { from_fn(|quarter| vld1q_s32(values.as_ptr().add(4 * quarter))) }
    }

    #[inline(always)]
    fn sub_integer(self, a: Self::Integer, b: Self::Integer) -> Self::Integer {
        // SAFETY: NEON is always there.
        unsafe { from_fn(|i| vsubq_s32(a[i], b[i])) }
    }

    #[inline(always)]
    fn to_real(self, a: Self::Integer) -> Self::Real {
        // SAFETY: NEON is always there.
        unsafe { a.map(|a| vcvtq_f32_s32(a)) }
    }

    #[inline(always)]
    fn store_codes(self, steps: Self::Real, zero_point: u8, codes: &mut [u8; 16]) {
        // SAFETY: NEON is always there, and the reference covers what is read or written.
        unsafe {
            let words = steps
                .map(|steps| vqmovn_s32(vaddq_s32(vcvtq_s32_f32(steps), vdupq_n_s32(i32::from(zero_point)))));
            let low = vqmovun_s16(vcombine_s16(words[0], words[1]));
            let high = vqmovun_s16(vcombine_s16(words[2], words[3]));
            vst1q_u8(codes.as_mut_ptr(), vcombine_u8(low, high));
        }
    }

    #[inline(always)]
    fn weights(self, block: &[i8; 64], _part: usize) -> Self::Weights {
        // SAFETY: NEON is always there, and the reference covers what is read or written.
        unsafe { from_fn(|quarter| vld1q_s8(block.as_ptr().add(16 * quarter))) }
    }

    #[inline(always)]
    fn codes(self, four: [u8; 4], _part: usize) -> Self::Codes {
        // SAFETY: NEON is always there.
        unsafe {
            // With its highest bit turned, an unsigned byte is itself minus 128 as a signed one.
            vreinterpretq_s8_u32(vdupq_n_u32(u32::from_le_bytes(four) ^ 0x8080_8080))
        }
    }

    #[inline(always)]
    fn dot_rows(self, sums: Self::Integer, codes: &[u8; 64], weights: [u8; 4]) -> Self::Integer {
        // SAFETY: the token, and the reference covers 64 bytes.
        unsafe {
            let weights = vreinterpretq_s8_u32(vdupq_n_u32(u32::from_le_bytes(weights)));
            from_fn(|i| {
                let codes = veorq_u8(vld1q_u8(codes.as_ptr().add(16 * i)), vdupq_n_u8(0x80));
                signed_dot(sums[i], vreinterpretq_s8_u8(codes), weights)
            })
        }
    }

    #[inline(always)]
    fn dot(self, sums: Self::Integer, weights: Self::Weights, codes: Self::Codes) -> Self::Integer {
        // SAFETY: the token.
        unsafe { from_fn(|i| signed_dot(sums[i], weights[i], codes)) }
    }
}

/// Pairs of lanes, then halves of the vectors change places.
#[inline(always)]
fn transpose_four(rows: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: NEON is always there.
    unsafe {
        let [a, b, c, d] = rows;
        let even = [vreinterpretq_f64_f32(vtrn1q_f32(a, b)), vreinterpretq_f64_f32(vtrn1q_f32(c, d))];
        let odd = [vreinterpretq_f64_f32(vtrn2q_f32(a, b)), vreinterpretq_f64_f32(vtrn2q_f32(c, d))];
        [
            vreinterpretq_f32_f64(vtrn1q_f64(even[0], even[1])),
            vreinterpretq_f32_f64(vtrn1q_f64(odd[0], odd[1])),
            vreinterpretq_f32_f64(vtrn2q_f64(even[0], even[1])),
            vreinterpretq_f32_f64(vtrn2q_f64(odd[0], odd[1])),
        ]
    }
}

/// `sdot`, whose intrinsic is not stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn signed_dot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there, and reads and writes these registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

#[inline(always)]
fn power_of_two(n: int32x4_t) -> float32x4_t {
    // SAFETY: NEON is always there.
    unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127)))) }
}
