use leat_model::ActivationQuantization;

/// The `u8` codes that cover `low..=high`, widened to hold zero: `scale = (high - low) / 255`,
/// `zero_point = round_half_even(-low / scale)`. A range too narrow for a normal scale gets scale 1 and zero point 0,
/// as ONNX Runtime does.
pub fn affine_u8(low: f32, high: f32) -> ActivationQuantization {
    let low = f64::from(low).min(0.0);
    let high = f64::from(high).max(0.0);
    let scale = (high - low) / 255.0;
    if scale < f64::from(f32::MIN_POSITIVE) {
        return ActivationQuantization { scale: 1.0, zero_point: 0 };
    }
    let zero_point = (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8;
    let scale = (scale as f32).min(f32::MAX);
    ActivationQuantization { scale, zero_point }
}

/// `clamp(round_half_even(x / scale) + zero_point, 0, 255)`, ONNX QuantizeLinear.
pub fn quantize_u8(value: f32, by: ActivationQuantization) -> u8 {
    ((value / by.scale).round_ties_even() + f32::from(by.zero_point)).clamp(0.0, 255.0) as u8
}

/// `scale · (code - zero_point)`, ONNX DequantizeLinear.
pub fn dequantize_u8(code: u8, by: ActivationQuantization) -> f32 {
    by.scale * (f32::from(code) - f32::from(by.zero_point))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_widened_to_hold_zero() {
        assert_eq!(affine_u8(1.0, 2.55).zero_point, 0);
        assert_eq!(affine_u8(-2.55, -1.0).zero_point, 255);
    }

    #[test]
    fn an_empty_range_gets_scale_one() {
        assert_eq!(affine_u8(0.0, 0.0), ActivationQuantization { scale: 1.0, zero_point: 0 });
        assert_eq!(affine_u8(0.0, 1e-40).scale, 1.0);
    }

    proptest! {
        #[test]
        fn zero_is_exact_and_values_in_range_are_within_half_a_step(low in -100_f32..100.0, width in 1e-3_f32..100.0, at in 0.0_f32..1.0) {
            let by = affine_u8(low, low + width);
            prop_assert_eq!(dequantize_u8(quantize_u8(0.0, by), by), 0.0);
            let value = low + width * at;
            let error = (dequantize_u8(quantize_u8(value, by), by) - value).abs();
            // Rounding the zero point moves the covered range by up to half a step, so its ends may be one step off.
            prop_assert!(error <= by.scale * 1.001 + value.abs() * f32::EPSILON, "{} {:?}", error, by);
        }

        #[test]
        fn the_scale_is_finite_and_above_zero(low in proptest::num::f32::NORMAL, high in proptest::num::f32::NORMAL) {
            let by = affine_u8(low, high);
            prop_assert!(by.scale.is_finite() && by.scale > 0.0);
        }
    }
}
