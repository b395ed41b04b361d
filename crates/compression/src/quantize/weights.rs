use crate::Calibration;

/// The largest code of symmetric quantization. `-128` is left out, so that negation stays exact.
const CODE_MAX: f32 = 127.0;

/// Weights as codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// One per weight.
    pub codes: Vec<i8>,
    /// One per group of weights.
    pub scales: Vec<f32>,
    /// How many weights lay beyond the end of the code range.
    pub saturated: u64,
}

/// Symmetric `i8` codes for each run of `group` weights: `scale = T / 127`, `code = clamp(round_half_even(w / scale), -127, 127)`
/// with `T` chosen by `calibration` from the weights of the group.
pub fn symmetric(weights: &[f32], group: usize, calibration: Calibration) -> Codes {
    let mut result = Codes { codes: Vec::with_capacity(weights.len()), scales: Vec::new(), saturated: 0 };
    for values in weights.chunks(group.max(1)) {
        let scale = scale_for(values, calibration);
        for &value in values {
            let code = (value / scale).round_ties_even();
            result.saturated += u64::from(code.abs() > CODE_MAX);
            result.codes.push(code.clamp(-CODE_MAX, CODE_MAX) as i8);
        }
        result.scales.push(scale);
    }
    result
}

/// `code = round(w · Q)`, half away from zero, saturated to `-128..=127`; one scale `1 / Q`.
pub fn by_q(weights: &[f32], q: f32) -> Codes {
    let mut saturated = 0;
    let codes = weights.iter().map(|&weight| {
        let rounded = (weight * q).round();
        saturated += u64::from(!(f32::from(i8::MIN)..=f32::from(i8::MAX)).contains(&rounded));
        rounded as i8
    });
    let codes = codes.collect();
    Codes { codes, scales: vec![1.0 / q], saturated }
}

/// The scale of one group of weights; 1 where every weight is (almost) zero.
fn scale_for(values: &[f32], calibration: Calibration) -> f32 {
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let range = match calibration {
        Calibration::MinMax => largest,
        Calibration::Percentile(percentile) => nearest_rank(values, percentile),
        Calibration::Mse => least_squares(values, largest),
    };
    let scale = range / CODE_MAX;
    if scale < f32::MIN_POSITIVE { 1.0 } else { scale }
}

/// The smallest magnitude that at least `percentile` per cent of the magnitudes do not exceed. When that is zero (a channel
/// that pruning left almost empty), the percentile is taken among the weights that are not zero.
fn nearest_rank(values: &[f32], percentile: f64) -> f32 {
    let mut magnitudes: Vec<f32> = values.iter().map(|value| value.abs()).filter(|&magnitude| magnitude > 0.0).collect();
    magnitudes.sort_by(f32::total_cmp);
    let rank = (percentile / 100.0 * magnitudes.len() as f64).ceil() as usize;
    magnitudes.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The range among `1.00, 0.99 … 0.40` of the largest magnitude that gives the least squared error; the widest of equals.
fn least_squares(values: &[f32], largest: f32) -> f32 {
    let mut best = (f64::INFINITY, largest);
    for percent in (40..=100_u8).rev() {
        let range = largest * f32::from(percent) / 100.0;
        let error = squared_error(values, range / CODE_MAX);
        if error < best.0 {
            best = (error, range);
        }
    }
    best.1
}

fn squared_error(values: &[f32], scale: f32) -> f64 {
    let scale = if scale < f32::MIN_POSITIVE { 1.0 } else { scale };
    let errors = values.iter().map(|&value| {
        let restored = (value / scale).round_ties_even().clamp(-CODE_MAX, CODE_MAX) * scale;
        f64::from(value - restored).powi(2)
    });
    errors.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounding_by_q_goes_half_away_from_zero_and_saturations_are_counted() {
        let codes = by_q(&[0.5, -0.5, 1.5, 200.0, -200.0, 127.4, -128.4], 1.0);
        assert_eq!(codes.codes, [1, -1, 2, 127, -128, 127, -128]);
        assert_eq!(codes.saturated, 2);
        assert_eq!(codes.scales, [1.0]);
    }

    #[test]
    fn symmetric_rounding_goes_half_to_even() {
        let codes = symmetric(&[127.0, 0.5, 1.5, -0.5, -2.5], 5, Calibration::MinMax);
        assert_eq!(codes.codes, [127, 0, 2, 0, -2]);
    }

    #[test]
    fn a_channel_of_zeros_gets_scale_one() {
        for calibration in [Calibration::MinMax, Calibration::Percentile(99.0), Calibration::Mse] {
            let codes = symmetric(&[0.0, 0.0, 3.0, -1.0], 2, calibration);
            assert_eq!(codes.scales[0], 1.0);
            assert_eq!(codes.codes[..2], [0, 0]);
        }
    }

    #[test]
    fn a_percentile_cuts_outliers_and_reports_them() {
        let mut values = vec![1.0; 99];
        values.push(100.0);
        let codes = symmetric(&values, 100, Calibration::Percentile(99.0));
        assert_eq!((codes.saturated, codes.scales[0]), (1, 1.0 / 127.0));
    }

    #[test]
    fn least_squares_is_never_worse_than_the_full_range() {
        let values: Vec<f32> = (0..400).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).powi(5)).collect();
        let error = |calibration| {
            let codes = symmetric(&values, values.len(), calibration);
            values.iter().zip(&codes.codes).map(|(value, &code)| (value - f32::from(code) * codes.scales[0]).powi(2)).sum::<f32>()
        };
        assert!(error(Calibration::Mse) <= error(Calibration::MinMax));
    }

    proptest! {
        #[test]
        fn unsaturated_weights_are_within_half_a_step(values in prop::collection::vec(-10_f32..10.0, 1..200), group in 1_usize..50) {
            for calibration in [Calibration::MinMax, Calibration::Percentile(99.0), Calibration::Mse] {
                let codes = symmetric(&values, group, calibration);
                for (index, (&value, &code)) in values.iter().zip(&codes.codes).enumerate() {
                    let scale = codes.scales[index / group];
                    if (value / scale).round_ties_even().abs() <= CODE_MAX {
                        // The product and the quotient are each rounded once to f32.
                        let bound = scale / 2.0 + value.abs() * 2.0 * f32::EPSILON;
                        prop_assert!((value - f32::from(code) * scale).abs() <= bound);
                    }
                }
            }
        }

        #[test]
        fn by_q_is_within_half_a_step_where_it_does_not_saturate(values in prop::collection::vec(-2_f32..2.0, 1..100), q in 0.5_f32..60.0) {
            let codes = by_q(&values, q);
            prop_assert_eq!(codes.saturated, 0);
            for (&value, &code) in values.iter().zip(&codes.codes) {
                prop_assert!((value - f32::from(code) / q).abs() <= 0.5 / q + value.abs() * 2.0 * f32::EPSILON);
            }
        }
    }
}
