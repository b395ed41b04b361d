use crate::Activation;
use crate::panel::PANEL;
use crate::scalar::coefficients::{
    EXP, EXP_MAX, EXP_MIN, LN_2_HIGH, LN_2_LOW, NORMAL, NORMAL_MAX, TANH, TANH_SMALL,
};
use crate::simd::{Kernel, Simd};

/// One of the activations that take an exponential, in each lane.
#[inline(always)]
pub(super) fn transcendental<S: Simd>(simd: S, activation: Activation, x: S::Real) -> S::Real {
    let mut lanes = [0.0; PANEL];
    simd.store(x, &mut lanes);
    simd.vectorize(Transcendental { activation, lanes: &mut lanes });
    simd.load(&lanes)
}

/// An activation that is too long to stand in every tile.
struct Transcendental<'a> {
    activation: Activation,
    lanes: &'a mut [f32; PANEL],
}

impl Kernel for Transcendental<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let x = simd.load(self.lanes);
        let y = match self.activation {
            Activation::Tanh => tanh(simd, x),
            Activation::Sigmoid => sigmoid(simd, x),
            Activation::Gelu => gelu(simd, x),
            Activation::Identity | Activation::Relu => x,
        };
        simd.store(y, self.lanes);
    }
}

#[inline(always)]
pub(super) fn relu<S: Simd>(simd: S, x: S::Real) -> S::Real {
    simd.maximum(simd.splat(0.0), x)
}

#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::Real) -> S::Real {
    let x = simd.maximum(simd.splat(EXP_MIN), x);
    let x = simd.minimum(simd.splat(EXP_MAX), x);
    let n = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    let r = simd.fma(n, simd.splat(-LN_2_HIGH), x);
    let r = simd.fma(n, simd.splat(-LN_2_LOW), r);
    let y = simd.fma(polynomial(simd, &EXP, r), simd.mul(r, r), r);
    simd.scale(simd.add(y, simd.splat(1.0)), n)
}

#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::Real) -> S::Real {
    let one = simd.splat(1.0);
    let a = simd.magnitude(x);
    let square = simd.mul(a, a);
    let small = simd.fma(polynomial(simd, &TANH, square), simd.mul(square, a), a);
    let e = exp(simd, simd.add(a, a));
    let large = simd.sub(one, simd.div(simd.splat(2.0), simd.add(e, one)));
    let magnitude = simd.where_less(a, simd.splat(TANH_SMALL), small, large);
    simd.with_sign(simd.magnitude(magnitude), x)
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::Real) -> S::Real {
    let one = simd.splat(1.0);
    let e = exp(simd, simd.negate(simd.magnitude(x)));
    let numerator = simd.where_less(x, simd.splat(0.0), e, one);
    simd.div(numerator, simd.add(one, e))
}

#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::Real) -> S::Real {
    let four = simd.splat(4.0);
    let a = simd.minimum(simd.splat(NORMAL_MAX), simd.magnitude(x));
    let q = simd.div(simd.sub(a, four), simd.add(a, four));
    let ratio = simd.div(polynomial(simd, &NORMAL, q), simd.add(simd.splat(1.0), a));
    let half = simd.mul(simd.splat(0.5), a);
    let square = simd.mul(half, a);
    let error = simd.fma(half, a, simd.negate(square));
    let density = exp(simd, simd.negate(square));
    let density = simd.fma(simd.negate(density), error, density);
    simd.sub(relu(simd, x), simd.mul(simd.mul(a, ratio), density))
}

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, coefficients: &[f32; N], x: S::Real) -> S::Real {
    let mut sum = simd.splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = simd.fma(sum, x, simd.splat(coefficient));
    }
    sum
}
