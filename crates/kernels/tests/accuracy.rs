//! The elementary functions against `f64`, over a dense sample of all `f32`.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

use leat_kernels::{Activation, DenseF32, Kernels, Output, Rows};

/// Every so many bit patterns are tried; a prime, so that all exponents and low bits occur.
const STEP: usize = 3989;

/// What the documentation of `Activation` promises, in units in the last place.
const TANH_ULP: f64 = 2.0;
const SIGMOID_ULP: f64 = 3.0;
const GELU_ULP: f64 = 5.0;
/// What the documentation of `Kernels::softmax` promises.
fn softmax_ulp(classes: usize) -> f64 {
    5.0 + (classes as f64 / 16.0).ceil()
}

fn sample() -> Vec<f32> {
    (0..=u32::MAX).step_by(STEP).map(f32::from_bits).filter(|x| x.is_finite()).collect()
}

/// All sets but the definition, which is slow and has the same bits (see `same_bits`), unless there is no other.
fn fast() -> Vec<Kernels> {
    let available = Kernels::available();
    available[usize::from(available.len() > 1)..].to_vec()
}

fn apply(kernels: Kernels, activation: Activation, inputs: &[f32]) -> Vec<f32> {
    let layer = DenseF32::pack(&[1.0], &[0.0], activation);
    let mut out = vec![0.0; inputs.len() * layer.stride()];
    let rows = Rows { values: inputs, stride: 1, count: inputs.len() };
    kernels.dense_real(&layer, rows, Output::Values(&mut out));
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
    let exact: Vec<f64> = inputs.iter().map(|&x| exact(f64::from(x))).collect();
    let mut worst = (0.0, 0.0);
    for kernels in fast() {
        for ((&x, &exact), found) in inputs.iter().zip(&exact).zip(apply(kernels, activation, &inputs)) {
            let error = ulps(found, exact);
            assert!(!error.is_nan(), "{activation:?} of {x} is {found}, {kernels:?}");
            if error > worst.0 {
                worst = (error, x);
            }
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

/// The worst probability of some rows of logits, in units in the last place.
fn worst_softmax(logits: &[f32], classes: usize) -> f64 {
    let count = logits.len() / classes;
    let exact: Vec<f64> = logits.chunks_exact(classes).flat_map(softmax).collect();
    let mut worst = 0.0_f64;
    for kernels in fast() {
        let mut probabilities = vec![0.0; count * classes];
        kernels.softmax(Rows { values: logits, stride: classes, count }, classes, &mut probabilities);
        for (&found, &exact) in probabilities.iter().zip(&exact) {
            worst = worst.max(ulps(found, exact));
        }
    }
    println!("softmax over {classes}: {worst:.3} ulp");
    worst
}

/// In `f64`, over the differences as they are rounded.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|x| f64::from(x - max).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / total).collect()
}

#[test]
fn softmax_is_accurate_for_distant_logits() {
    let pairs = sample().into_iter().filter(|x| x.abs() < 200.0).flat_map(|x| [x, 0.0]);
    assert!(worst_softmax(&pairs.collect::<Vec<_>>(), 2) <= softmax_ulp(2));
}

#[test]
fn softmax_is_accurate_for_many_classes() {
    for classes in [3, 10, 16, 17, 100, 1000] {
        for spread in [0.01, 1.0, 8.0, 80.0] {
            let logit = |at: usize| ((at * 7_919 + at / 31) % 10_007) as f32 / 10_007.0 * spread - 3.0;
            let logits: Vec<f32> = (0..200 * classes).map(logit).collect();
            assert!(worst_softmax(&logits, classes) <= softmax_ulp(classes), "{classes} classes");
        }
    }
}

#[test]
fn activations_keep_zeros_and_limits() {
    let inputs = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY];
    for kernels in Kernels::available() {
        let of = |activation| apply(kernels, activation, &inputs);
        assert_eq!(of(Activation::Tanh), [0.0, -0.0, 1.0, -1.0]);
        assert_eq!(of(Activation::Sigmoid), [0.5, 0.5, 1.0, 0.0]);
        assert_eq!(of(Activation::Gelu), [0.0, 0.0, f32::INFINITY, 0.0]);
        assert_eq!(of(Activation::Relu), [0.0, 0.0, f32::INFINITY, 0.0]);
        for activation in [Activation::Tanh, Activation::Sigmoid, Activation::Gelu, Activation::Relu] {
            assert!(apply(kernels, activation, &[f32::NAN])[0].is_nan(), "{activation:?} of NaN");
        }
    }
}
