use leat_model::Activation;
use libm::erff;

const SQRT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// `1 / sqrt(2π)`.
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

/// Writes `f(z)` for each pre-activation.
pub(crate) fn apply(activation: Activation, z: &[f32], output: &mut [f32]) {
    let pairs = z.iter().zip(output);
    match activation {
        Activation::Identity => pairs.for_each(|(&z, y)| *y = z),
        // NaN must pass, or a diverged network would look healthy; `f32::max` would turn it into zero.
        Activation::Relu => pairs.for_each(|(&z, y)| *y = if z < 0.0 { 0.0 } else { z }),
        Activation::Tanh => pairs.for_each(|(&z, y)| *y = z.tanh()),
        Activation::Sigmoid => pairs.for_each(|(&z, y)| *y = 1.0 / (1.0 + (-z).exp())),
        Activation::Gelu => pairs.for_each(|(&z, y)| *y = z * normal_share(z)),
    }
}

/// Multiplies each gradient by `f'(z)`; `output` holds `f(z)`.
pub(crate) fn chain(activation: Activation, z: &[f32], output: &[f32], gradient: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => gradient.iter_mut().zip(z).for_each(|(g, &z)| {
            if z <= 0.0 {
                *g = 0.0;
            }
        }),
        Activation::Tanh => gradient.iter_mut().zip(output).for_each(|(g, &y)| *g *= 1.0 - y * y),
        Activation::Sigmoid => gradient.iter_mut().zip(output).for_each(|(g, &y)| *g *= y * (1.0 - y)),
        Activation::Gelu => gradient.iter_mut().zip(z).for_each(|(g, &z)| {
            let density = DENSITY_AT_ZERO * (-0.5 * z * z).exp();
            *g *= normal_share(z) + z * density;
        }),
    }
}

/// The share of the standard normal distribution below `z`.
fn normal_share(z: f32) -> f32 {
    0.5 * (1.0 + erff(z * SQRT_HALF))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Activation; 5] =
        [Activation::Identity, Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::Gelu];

    fn value(activation: Activation, z: f32) -> f32 {
        let mut output = [0.0];
        apply(activation, &[z], &mut output);
        output[0]
    }

    #[test]
    fn a_diverged_value_stays_visible() {
        for activation in ALL {
            assert!(value(activation, f32::NAN).is_nan(), "{activation:?}");
        }
    }

    #[test]
    fn extreme_values_stay_finite() {
        for activation in ALL {
            for z in [-100.0, -0.0, 0.0, 100.0] {
                let mut gradient = [1.0];
                chain(activation, &[z], &[value(activation, z)], &mut gradient);
                assert!(value(activation, z).is_finite() && gradient[0].is_finite(), "{activation:?} {z}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_derivative_is_the_slope(z in -4.0_f32..4.0) {
            prop_assume!(z.abs() > 0.02);
            for activation in ALL {
                let step = 1e-2;
                let slope = (value(activation, z + step) - value(activation, z - step)) / (2.0 * step);
                let mut gradient = [1.0];
                chain(activation, &[z], &[value(activation, z)], &mut gradient);
                prop_assert!((gradient[0] - slope).abs() < 2e-3, "{activation:?} at {z}: {} {slope}", gradient[0]);
            }
        }
    }
}
