use proptest::prelude::*;

use super::*;

fn full_range(inputs: usize, calibration: Calibration) -> Symmetric {
    Symmetric { inputs, per_channel: true, calibration, reduce_range: false }
}

fn reduced_range(inputs: usize, calibration: Calibration) -> Symmetric {
    Symmetric { reduce_range: true, ..full_range(inputs, calibration) }
}

#[test]
fn a_reduced_range_makes_room_for_neighbours_of_one_sign_only() {
    let scale = |weights: &[f32]| reduced_range(weights.len(), Calibration::MinMax).codes(weights).scales[0];
    assert_eq!(scale(&[127.0, -127.0, 127.0]), 1.0);
    assert_eq!(scale(&[127.0, 1.0, 0.0, 127.0]), 1.0);
    assert_eq!(scale(&[1.0, -100.0, -100.0, -28.0, -28.0]), 1.0);
    let codes = reduced_range(2, Calibration::MinMax).codes(&[127.0, 127.0]);
    assert_eq!((codes.codes, codes.saturated), (vec![64, 64], 0));
}

#[test]
fn neighbours_that_a_percentile_cuts_give_way_together() {
    assert_eq!(within_pair_max([100.0, 31.0]), [98.0, 30.0]);
    assert_eq!(within_pair_max([-127.0, -2.0]), [-128.0 + 2.0, -2.0]);
    assert_eq!(within_pair_max([127.0, -127.0]), [127.0, -127.0]);
}

#[test]
fn rounding_by_q_goes_half_away_from_zero_and_saturations_are_counted() {
    let codes = by_q(&[0.5, -0.5, 1.5, 200.0, -200.0, 127.4, -128.4], 1.0);
    assert_eq!(codes.codes, [1, -1, 2, 127, -128, 127, -128]);
    assert_eq!(codes.saturated, 2);
    assert_eq!(codes.scales, [1.0]);
}

#[test]
fn symmetric_rounding_goes_half_to_even() {
    let codes = full_range(5, Calibration::MinMax).codes(&[127.0, 0.5, 1.5, -0.5, -2.5]);
    assert_eq!(codes.codes, [127, 0, 2, 0, -2]);
}

#[test]
fn a_channel_of_zeros_gets_scale_one() {
    for calibration in [Calibration::MinMax, Calibration::Percentile(99.0), Calibration::Mse] {
        let codes = full_range(2, calibration).codes(&[0.0, 0.0, 3.0, -1.0]);
        assert_eq!(codes.scales[0], 1.0);
        assert_eq!(codes.codes[..2], [0, 0]);
    }
}

#[test]
fn a_percentile_cuts_outliers_and_reports_them() {
    let mut values = vec![1.0; 99];
    values.push(100.0);
    let codes = full_range(100, Calibration::Percentile(99.0)).codes(&values);
    assert_eq!((codes.saturated, codes.scales[0]), (1, 1.0 / 127.0));
}

#[test]
fn a_percentile_leaves_zeros_out() {
    let mut values = vec![0.0; 1_000];
    values.extend((1..=100).map(|weight| weight as f32));
    assert_eq!(nearest_rank(values, 99.0), 99.0);
    assert_eq!(nearest_rank(vec![0.0; 4], 99.0), 0.0);
}

#[test]
fn least_squares_is_never_worse_than_the_full_range() {
    let values: Vec<f32> = (0..400).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).powi(5)).collect();
    let error = |calibration| {
        let codes = full_range(values.len(), calibration).codes(&values);
        values
            .iter()
            .zip(&codes.codes)
            .map(|(value, &code)| (value - f32::from(code) * codes.scales[0]).powi(2))
            .sum::<f32>()
    };
    assert!(error(Calibration::Mse) <= error(Calibration::MinMax));
}

proptest! {
    #[test]
    fn unsaturated_weights_are_within_half_a_step(values in prop::collection::vec(-10_f32..10.0, 1..200), group in 1_usize..50) {
        for calibration in [Calibration::MinMax, Calibration::Percentile(99.0), Calibration::Mse] {
            let codes = full_range(group, calibration).codes(&values);
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
    fn neighbours_fit_with_a_reduced_range_and_its_scale_is_at_most_doubled(
        values in prop::collection::vec(prop_oneof![-10_f32..10.0, Just(10.0), Just(-10.0)], 1..200),
        inputs in 1_usize..50,
        per_channel in any::<bool>(),
    ) {
        for calibration in [Calibration::MinMax, Calibration::Percentile(90.0), Calibration::Mse] {
            let reduced = Symmetric { per_channel, ..reduced_range(inputs, calibration) }.codes(&values);
            for pair in reduced.codes.chunks(inputs).flat_map(|row| row.as_chunks::<2>().0) {
                let [first, second] = pair.map(i32::from);
                prop_assert!(first.signum() * second.signum() <= 0 || (first + second).abs() <= 128, "{pair:?}");
            }
        }
        let min_max = |reduce_range| {
            Symmetric { per_channel, reduce_range, ..full_range(inputs, Calibration::MinMax) }.codes(&values)
        };
        let (full, reduced) = (min_max(false), min_max(true));
        for (full, reduced) in full.scales.iter().zip(&reduced.scales) {
            prop_assert!(full <= reduced && *reduced <= full * 2.0);
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
