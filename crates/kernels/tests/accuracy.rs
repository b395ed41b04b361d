//! The elementary functions against `f64`, over a dense sample of all `f32`.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

use leat_kernels::{Activation, DenseF32, Kernels, Output, Rows};

/// Every so many bit patterns are tried; a prime, so that all exponents and low bits occur.
const STEP: usize = 3989;

/// What the documentation of `Activation` promises, in units in the last place.
const TANH_ULP: f64 = 2.0;
const SIGMOID_ULP: f64 = 3.0;
const GELU_ULP: f64 = 5.0;
/// Probabilities of a softmax over two logits, one of which is zero.
const SOFTMAX_ULP: f64 = 4.0;

fn sample() -> Vec<f32> {
    (0..=u32::MAX).step_by(STEP).map(f32::from_bits).filter(|x| x.is_finite()).collect()
}

fn apply(activation: Activation, inputs: &[f32]) -> Vec<f32> {
    let layer = DenseF32::pack(&[1.0], &[0.0], activation);
    let mut out = vec![0.0; inputs.len() * layer.stride()];
    let rows = Rows { values: inputs, stride: 1, count: inputs.len() };
    Kernels::detect().dense_real(&layer, rows, Output::Values(&mut out));
    out.into_iter().step_by(layer.stride()).collect()
}

/// The distance from the exact value in units in the last place of `f32` there.
fn ulps(found: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if rounded.is_infinite() {
        return if found == rounded { 0.0 } else { f64::INFINITY };
    }
    let magnitude = rounded.abs().max(f32::MIN_POSITIVE);
    let unit = f64::from(magnitude) - f64::from(magnitude.next_down());
    (f64::from(found) - exact).abs() / unit
}

fn worst(activation: Activation, exact: fn(f64) -> f64) -> f64 {
    let inputs = sample();
    let found = apply(activation, &inputs);
    let mut worst = (0.0, 0.0);
    for (&x, found) in inputs.iter().zip(found) {
        let error = ulps(found, exact(f64::from(x)));
        assert!(!error.is_nan(), "{activation:?} of {x} is {found}");
        if error > worst.0 {
            worst = (error, x);
        }
    }
    println!("{activation:?}: {:.3} ulp at {}", worst.0, worst.1);
    worst.0
}

/// `Φ(-a)` for `a >= 0`: a power series near zero, a continued fraction further out (Abramowitz & Stegun 26.2.11, 26.2.14).
fn normal_tail(a: f64) -> f64 {
    let density = (-0.5 * a * a).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if a > 4.0 {
        return density / (1..=200).rev().fold(a, |rest, k| a + f64::from(k) / rest);
    }
    let (mut term, mut sum, mut odd) = (a, a, 3.0);
    while term > sum * 1e-18 {
        term *= a * a / odd;
        sum += term;
        odd += 2.0;
    }
    0.5 - density * sum
}

#[test]
fn tanh_is_as_accurate_as_documented() {
    assert!(worst(Activation::Tanh, f64::tanh) <= TANH_ULP);
}

#[test]
fn sigmoid_is_as_accurate_as_documented() {
    assert!(worst(Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())) <= SIGMOID_ULP);
}

#[test]
fn gelu_is_as_accurate_as_documented() {
    let gelu = |x: f64| x.max(0.0) - x.abs() * normal_tail(x.abs().min(60.0));
    assert!(worst(Activation::Gelu, gelu) <= GELU_ULP);
}

#[test]
fn softmax_is_accurate_for_distant_logits() {
    let mut worst = 0.0_f64;
    for x in sample().into_iter().filter(|x| x.abs() < 200.0) {
        let mut probabilities = [0.0; 2];
        let rows = Rows { values: &[x, 0.0], stride: 2, count: 1 };
        Kernels::detect().softmax(rows, 2, &mut probabilities);
        let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
        worst = worst.max(ulps(probabilities[0], exact));
    }
    println!("softmax: {worst:.3} ulp");
    assert!(worst <= SOFTMAX_ULP);
}

#[test]
fn activations_keep_zeros_and_limits() {
    let inputs = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY];
    assert_eq!(apply(Activation::Tanh, &inputs), [0.0, -0.0, 1.0, -1.0]);
    assert_eq!(apply(Activation::Sigmoid, &inputs), [0.5, 0.5, 1.0, 0.0]);
    assert_eq!(apply(Activation::Gelu, &inputs), [0.0, 0.0, f32::INFINITY, 0.0]);
    assert_eq!(apply(Activation::Relu, &inputs), [0.0, 0.0, f32::INFINITY, 0.0]);
    for activation in [Activation::Tanh, Activation::Sigmoid, Activation::Gelu, Activation::Relu] {
        assert!(apply(activation, &[f32::NAN])[0].is_nan(), "{activation:?} of NaN");
    }
}
