//! Bounding weights. Biases stay as they are.

use leat_model::Network;

use crate::progress::Reporter;
use crate::{ClipMode, Error, Work, layers};

/// `sign(w) · min(|w|, ε)`.
pub fn clamp(weight: f32, epsilon: f32) -> f32 {
    weight.abs().min(epsilon).copysign(weight)
}

/// `w · clip(|w|, 0, ε)`, the formula taken word for word: below ε it gives `w·|w|`, above it `ε·w`. For finite arguments
/// the result is never NaN; it is infinite only where `ε·w` exceeds the largest `f32`.
pub fn literal(weight: f32, epsilon: f32) -> f32 {
    weight * weight.abs().min(epsilon)
}

/// Clips the weights of every layer.
pub(crate) fn apply(
    mut network: Network,
    mode: ClipMode,
    epsilon: f32,
    reporter: &mut Reporter<'_>,
) -> Result<Network, Error> {
    let formula = match mode {
        ClipMode::Clamp => clamp,
        ClipMode::Literal => literal,
    };
    let total = network.layers.len();
    for (index, layer) in network.layers.iter_mut().enumerate() {
        let clipped = layer.weights.to_f32().into_iter().map(|weight| formula(weight, epsilon)).collect();
        layers::store(layer, clipped);
        reporter.report(Work::Weights, index + 1, total)?;
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clamping_bounds_and_keeps_the_sign() {
        assert_eq!(clamp(0.5, 0.2), 0.2);
        assert_eq!(clamp(-0.5, 0.2), -0.2);
        assert_eq!(clamp(0.1, 0.2), 0.1);
    }

    #[test]
    fn the_literal_formula_squares_below_epsilon_and_scales_above() {
        assert_eq!(literal(0.5, 1.0), 0.25);
        assert_eq!(literal(-0.5, 1.0), -0.25);
        assert_eq!(literal(-4.0, 0.25), -1.0);
    }

    proptest! {
        #[test]
        fn neither_formula_gives_nan(weight in proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
                                     epsilon in 1e-30_f32..1e30) {
            prop_assert!(!literal(weight, epsilon).is_nan());
            prop_assert!(clamp(weight, epsilon).abs() <= epsilon);
        }

        #[test]
        fn the_literal_formula_never_exceeds_epsilon_times_the_weight(weight in -1e3_f32..1e3, epsilon in 1e-3_f32..1e3) {
            prop_assert!(literal(weight, epsilon).abs() <= (epsilon * weight).abs());
        }
    }
}
