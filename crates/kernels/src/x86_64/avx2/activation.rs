use std::arch::x86_64::*;

use crate::Activation;
use crate::scalar::coefficients::{
    EXP, EXP_MAX, EXP_MIN, LN_2_HIGH, LN_2_LOW, NORMAL, NORMAL_MAX, TANH, TANH_SMALL,
};

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// `activation(x)` in each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn apply(activation: Activation, x: __m256) -> __m256 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => relu(x),
        Activation::Tanh => tanh(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Gelu => gelu(x),
    }
}

/// `max` gives its second operand when one is NaN or both are zero, which is what the definition says.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn relu(x: __m256) -> __m256 {
    _mm256_max_ps(_mm256_setzero_ps(), x)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp(x: __m256) -> __m256 {
    let x = _mm256_max_ps(_mm256_set1_ps(EXP_MIN), x);
    let x = _mm256_min_ps(_mm256_set1_ps(EXP_MAX), x);
    let n = _mm256_round_ps::<NEAREST>(_mm256_mul_ps(x, _mm256_set1_ps(std::f32::consts::LOG2_E)));
    let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-LN_2_HIGH), x);
    let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-LN_2_LOW), r);
    let y = _mm256_fmadd_ps(polynomial(&EXP, r), _mm256_mul_ps(r, r), r);
    let y = _mm256_add_ps(y, _mm256_set1_ps(1.0));
    let n = _mm256_cvtps_epi32(n);
    let half = _mm256_srai_epi32::<1>(n);
    let rest = _mm256_sub_epi32(n, half);
    _mm256_mul_ps(_mm256_mul_ps(y, power_of_two(half)), power_of_two(rest))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn power_of_two(n: __m256i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, _mm256_set1_epi32(127))))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn tanh(x: __m256) -> __m256 {
    let one = _mm256_set1_ps(1.0);
    let a = magnitude(x);
    let square = _mm256_mul_ps(a, a);
    let small = _mm256_fmadd_ps(polynomial(&TANH, square), _mm256_mul_ps(square, a), a);
    let e = exp(_mm256_add_ps(a, a));
    let large = _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0), _mm256_add_ps(e, one)));
    let is_small = _mm256_cmp_ps::<_CMP_LT_OQ>(a, _mm256_set1_ps(TANH_SMALL));
    let magnitude = magnitude(_mm256_blendv_ps(large, small, is_small));
    _mm256_or_ps(magnitude, _mm256_and_ps(x, _mm256_set1_ps(-0.0)))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn sigmoid(x: __m256) -> __m256 {
    let one = _mm256_set1_ps(1.0);
    let e = exp(_mm256_or_ps(x, _mm256_set1_ps(-0.0)));
    let is_positive = _mm256_cmp_ps::<_CMP_GE_OQ>(x, _mm256_setzero_ps());
    _mm256_div_ps(_mm256_blendv_ps(e, one, is_positive), _mm256_add_ps(one, e))
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn gelu(x: __m256) -> __m256 {
    let four = _mm256_set1_ps(4.0);
    let a = _mm256_min_ps(_mm256_set1_ps(NORMAL_MAX), magnitude(x));
    let q = _mm256_div_ps(_mm256_sub_ps(a, four), _mm256_add_ps(a, four));
    let ratio = _mm256_div_ps(polynomial(&NORMAL, q), _mm256_add_ps(_mm256_set1_ps(1.0), a));
    let half = _mm256_mul_ps(_mm256_set1_ps(0.5), a);
    let square = _mm256_mul_ps(half, a);
    let error = _mm256_fmsub_ps(half, a, square);
    let density = exp(_mm256_xor_ps(square, _mm256_set1_ps(-0.0)));
    let density = _mm256_fnmadd_ps(density, error, density);
    _mm256_sub_ps(relu(x), _mm256_mul_ps(_mm256_mul_ps(a, ratio), density))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn magnitude(x: __m256) -> __m256 {
    _mm256_andnot_ps(_mm256_set1_ps(-0.0), x)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: __m256) -> __m256 {
    let mut sum = _mm256_set1_ps(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = _mm256_fmadd_ps(sum, x, _mm256_set1_ps(coefficient));
    }
    sum
}
