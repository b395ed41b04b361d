use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn histogram(samples: &[u64]) -> LatencyHistogram {
    let mut histogram = LatencyHistogram::new();
    samples.iter().for_each(|&sample| histogram.record(sample));
    histogram
}

fn latency() -> impl Strategy<Value = u64> {
    prop_oneof![0..2_048_u64, 1_000..10_000_000_u64, 0..=u64::MAX, Just(LOWEST_NS), Just(HIGHEST_NS)]
}

/// Puts a value into the header of valid bytes.
fn tampered(at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = histogram(&[1_000, 2_000]).to_bytes();
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

fn with_counts(counts: &[u8]) -> Vec<u8> {
    let mut bytes = histogram(&[1]).to_bytes();
    bytes.truncate(40);
    bytes[4..8].copy_from_slice(&u32::try_from(counts.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(counts);
    bytes
}

proptest! {
    #[test]
    fn merged_deltas_equal_one_histogram_over_all_samples(
        workers in vec(vec(vec(latency(), 0..60), 1..4), 1..5)
    ) {
        let all: Vec<u64> = workers.iter().flatten().flatten().copied().collect();
        let mut merged = LatencyHistogram::new();
        for rounds in &workers {
            let mut worker = LatencyHistogram::new();
            let mut encoder = LatencyEncoder::default();
            for round in rounds {
                round.iter().for_each(|&sample| worker.record(sample));
                merged.merge_bytes(&worker.take_delta(&mut encoder)).unwrap();
                prop_assert!(worker.is_empty());
            }
        }
        let expected = histogram(&all);
        prop_assert_eq!(merged.summary(), expected.summary());
        prop_assert_eq!(merged.to_bytes(), expected.to_bytes());
        prop_assert_eq!(merged, expected);
    }

    #[test]
    fn a_quantile_is_the_sample_of_that_rank_within_one_part_in_a_thousand(
        mut samples in vec(1..=HIGHEST_NS, 1..200), share in 0.0..=1.0_f64
    ) {
        let found = histogram(&samples).quantile(share).unwrap();
        samples.sort_unstable();
        let rank = ((share * samples.len() as f64).ceil() as usize).max(1);
        let exact = samples[rank - 1];
        prop_assert!(found.abs_diff(exact) as f64 <= exact as f64 * 1e-3, "found {found}, exact {exact}");
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = LatencyHistogram::from_bytes(&bytes);
    }

    #[test]
    fn arbitrary_counts_never_panic(counts in vec(any::<u8>(), 0..300)) {
        let mut present = histogram(&[5]);
        match present.merge_bytes(&with_counts(&counts)) {
            Ok(()) => prop_assert!(present.count() <= COUNT_MAX),
            Err(_) => prop_assert_eq!(present, histogram(&[5])),
        }
    }
}

#[test]
fn the_number_of_counts_is_that_of_the_real_histogram() {
    assert_eq!(encoding::empty().distinct_values(), encoding::COUNTS);
}

#[test]
fn a_histogram_with_every_count_at_its_largest_still_fits_the_limit() {
    let mut full = LatencyHistogram::new();
    let values: Vec<u64> = full.histogram.iter_all().map(|step| step.value_iterated_to()).collect();
    for value in values.into_iter().filter(|&value| value <= HIGHEST_NS) {
        full.histogram.record_n(value.max(1), COUNT_MAX / 40_000).unwrap();
    }
    let bytes = full.to_bytes();
    assert!(bytes.len() <= BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(LatencyHistogram::from_bytes(&bytes).unwrap(), full);
}

#[test]
fn quantiles_of_the_sum_are_not_the_mean_of_quantiles() {
    let fast = vec![5_000_000; 9_900];
    let slow = vec![500_000_000; 10];
    let mut merged = histogram(&fast);
    merged.merge(&histogram(&slow)).unwrap();
    assert_eq!(merged.quantile(0.99), histogram(&fast).quantile(0.99));
    assert_eq!(merged.max(), histogram(&slow).max());
}

#[test]
fn values_outside_of_the_range_are_counted_at_its_ends() {
    let mut ends = histogram(&[0, u64::MAX]);
    ends.record_duration(Duration::from_secs(3_600));
    ends.record_duration(Duration::MAX);
    assert_eq!((ends.quantile(0.0), ends.max(), ends.count()), (Some(1), Some(HIGHEST_NS), 4));
}

#[test]
fn an_empty_histogram_has_no_figures_and_survives_the_trip() {
    let mut empty = LatencyHistogram::new();
    assert_eq!((empty.summary(), empty.quantile(0.5), empty.max(), empty.mean()), (None, None, None, None));
    let bytes = empty.take_delta(&mut LatencyEncoder::default());
    assert!(bytes.len() < 64);
    empty.merge_bytes(&bytes).unwrap();
    assert!(empty.is_empty());
}

#[test]
fn a_share_that_is_no_number_has_no_quantile_and_others_are_clamped() {
    let one = histogram(&[7]);
    assert_eq!(one.quantile(f64::NAN), None);
    assert_eq!((one.quantile(-1.0), one.quantile(9.0)), (Some(7), Some(7)));
}

#[test]
fn counts_below_a_threshold_are_told() {
    let some = histogram(&[100, 200, 300]);
    assert_eq!([50, 100, 250, u64::MAX].map(|limit| some.count_at_most(limit)), [0, 1, 2, 3]);
}

#[test]
fn other_shapes_are_refused_by_name() {
    let digits = LatencyHistogram::from_bytes(&tampered(12, &5_u32.to_be_bytes()));
    assert_eq!(digits, Err(Error::ShapeMismatch { field: "significant digits", found: 5, expected: 3 }));
    let highest = LatencyHistogram::from_bytes(&tampered(24, &u64::MAX.to_be_bytes()));
    assert_eq!(
        highest,
        Err(Error::ShapeMismatch { field: "highest value", found: u64::MAX, expected: HIGHEST_NS })
    );
    let lowest = LatencyHistogram::from_bytes(&tampered(16, &2_u64.to_be_bytes()));
    assert_eq!(lowest, Err(Error::ShapeMismatch { field: "lowest value", found: 2, expected: 1 }));
}

#[test]
fn malformed_bytes_are_refused() {
    let valid = histogram(&[1_000, 2_000]).to_bytes();
    let longer = [valid.clone(), vec![0]].concat();
    let huge_skip = with_counts(&[0xff; 9]);
    let past_the_end = with_counts(&[0xff, 0xff, 0xff, 0x7f, 2]);
    let cut_number = with_counts(&[2, 0x80]);
    let compressed = tampered(0, &0x1c84_9314_u32.to_be_bytes());
    let scaled = tampered(32, &2.0_f64.to_be_bytes());
    let shifted = tampered(8, &1_u32.to_be_bytes());
    let length = tampered(4, &u32::MAX.to_be_bytes());
    for bytes in [
        &valid[..39],
        &[],
        &longer,
        &huge_skip,
        &past_the_end,
        &cut_number,
        &compressed,
        &scaled,
        &shifted,
        &length,
    ] {
        let refused = LatencyHistogram::from_bytes(bytes);
        assert!(matches!(refused, Err(Error::Malformed { .. })), "{bytes:02x?} gave {refused:?}");
    }
    let too_long = LatencyHistogram::from_bytes(&vec![0; BYTES_MAX + 1]);
    assert_eq!(too_long, Err(Error::TooLong { bytes: BYTES_MAX + 1, limit: BYTES_MAX }));
}

#[test]
fn a_sum_that_does_not_fit_is_refused_and_changes_nothing() {
    let mut present = LatencyHistogram::new();
    present.histogram.record_n(9, COUNT_MAX - 1).unwrap();
    let before = present.clone();
    let refused = present.merge_bytes(&histogram(&[1, 2]).to_bytes());
    assert_eq!(refused, Err(Error::CountOverflow { present: COUNT_MAX - 1, added: 2, limit: COUNT_MAX }));
    assert_eq!(present, before);
    present.merge(&histogram(&[1])).unwrap();
    present.record(1);
    assert_eq!(present.count(), COUNT_MAX + 1);
    assert!(
        !present.take_delta(&mut LatencyEncoder::default()).is_empty(),
        "recording on top of a full merge can still be serialised"
    );
}

#[test]
fn an_interval_in_which_nothing_happened_is_no_bytes() {
    assert!(LatencyHistogram::from_delta(&[]).unwrap().is_empty());
    let mut histogram = LatencyHistogram::new();
    histogram.record(1_000);
    assert_eq!(LatencyHistogram::from_delta(&histogram.to_bytes()).unwrap(), histogram);
    assert!(LatencyHistogram::from_delta(&[1, 2, 3]).is_err());
}

#[test]
fn a_stall_counts_for_the_requests_that_were_not_sent_during_it() {
    let interval = Duration::from_millis(10);
    // A hundred answers of 1 ms and one that took a second: 99 requests were not sent meanwhile.
    let recorded = histogram(&[vec![1_000_000; 100], vec![1_000_000_000]].concat());
    let corrected = recorded.corrected(interval);
    assert_eq!((recorded.count(), corrected.count()), (101, 200));
    let ms = |histogram: &LatencyHistogram, share| histogram.quantile(share).unwrap() / 1_000_000;
    assert_eq!((ms(&recorded, 0.9), ms(&recorded, 0.99)), (1, 1), "the stall is hidden");
    assert!(ms(&corrected, 0.9).abs_diff(800) <= 10 && ms(&corrected, 0.99).abs_diff(980) <= 10);
    assert_eq!(recorded.corrected(Duration::ZERO), recorded);
    assert_eq!(histogram(&[HIGHEST_NS]).corrected(Duration::from_secs(20)).count(), 3);
}
