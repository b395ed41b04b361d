use leat_contract::Scalar;
use proptest::prelude::*;

use super::*;

const LIMITS: JoinLimits =
    JoinLimits { wait_ms: 1_000, grace_ms: 100, entries_max: 50, values_max: 1_000, recent_max: 100 };

fn join() -> LabelJoin {
    LabelJoin::new(LIMITS, 0)
}

/// Both streams were read up to now.
fn current(now: u64) -> Watermarks {
    Watermarks { predictions: now, labels: now }
}

fn version() -> ModelVersion {
    "1".parse().unwrap()
}

fn id(number: u32) -> RequestId {
    format!("r{number}").parse().unwrap()
}

fn predicted(number: u32, class: &str) -> PredictionRecord {
    let rows = vec![PredictedValue::Class { label: class.to_owned(), probability: 0.9 }];
    PredictionRecord { request_id: id(number), version: version(), at: 0, rows }
}

fn label(number: u32, value: Scalar) -> Label {
    Label { request_id: id(number), label: LabelValue::One(value), at: None }
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

#[test]
fn a_label_is_compared_with_the_prediction_of_its_request() {
    let mut join = join();
    join.predicted(predicted(1, "7"), 0);
    join.predicted(predicted(2, "3"), 0);
    join.predicted(predicted(3, "5"), 0);
    join.labelled(label(1, Scalar::Integer(7)), 1);
    join.labelled(label(2, text("8")), 1);
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((accuracy.predictions, accuracy.matched, accuracy.pending, accuracy.correct), (3, 2, 1, 1));
    assert_eq!(accuracy.ratio, Some(0.5));
}

#[test]
fn a_label_may_come_before_its_prediction() {
    let mut join = join();
    join.labelled(label(1, text("7")), 0);
    join.predicted(predicted(1, "7"), 0);
    join.expire(current(200));
    assert_eq!(join.accuracy(version()).unwrap().correct, 1);
    assert_eq!(join.orphans, 0);
}

#[test]
fn a_label_without_a_prediction_becomes_an_orphan() {
    let mut join = join();
    join.labelled(label(1, text("7")), 0);
    join.expire(current(101));
    assert_eq!(join.orphans, 1);
}

#[test]
fn a_second_label_corrects_the_first_and_the_same_again_is_a_duplicate() {
    let mut join = join();
    join.predicted(predicted(1, "7"), 0);
    join.labelled(label(1, text("3")), 1);
    join.labelled(label(1, text("7")), 2);
    join.labelled(label(1, text("7")), 3);
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((accuracy.matched, accuracy.correct, accuracy.duplicates), (1, 1, 1));
    assert_eq!(accuracy.ratio, Some(1.0));
}

#[test]
fn regression_gives_the_mean_absolute_error_over_rows_and_targets() {
    let mut join = join();
    let rows = vec![PredictedValue::Values(vec![1.0, 2.0]), PredictedValue::Values(vec![3.0, 4.0])];
    join.predicted(PredictionRecord { request_id: id(1), version: version(), at: 0, rows }, 0);
    let truth = LabelValue::Targets(vec![vec![1.5, 2.0], vec![3.0, 2.5]]);
    join.labelled(Label { request_id: id(1), label: truth, at: None }, 1);
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!(accuracy.mean_absolute_error, Some(0.5));
    assert_eq!(accuracy.ratio, None);
}

#[test]
fn a_label_for_another_number_of_rows_is_unusable_and_leaves_the_prediction_pending() {
    let mut join = join();
    join.predicted(predicted(1, "7"), 0);
    join.labelled(
        Label { request_id: id(1), label: LabelValue::Rows(vec![text("7"), text("7")]), at: None },
        1,
    );
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((join.unusable(), accuracy.pending, accuracy.matched), (1, 1, 0));
}

#[test]
fn a_label_that_comes_after_the_wait_is_an_orphan_and_its_prediction_expires() {
    let mut join = join();
    join.predicted(predicted(1, "7"), 0);
    join.labelled(label(1, text("7")), 1_001);
    join.expire(current(2_000));
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((accuracy.matched, accuracy.expired, accuracy.orphans), (0, 1, 1));
    assert!(join.is_idle());
}

#[test]
fn labels_from_before_the_predictions_that_are_kept_are_no_orphans() {
    let mut join = LabelJoin::new(LIMITS, 5_000);
    join.labelled(label(1, text("7")), 4_999);
    join.labelled(label(2, text("7")), 5_000);
    join.expire(current(9_000));
    assert_eq!(join.orphans(), 1);
}

#[test]
fn what_is_kept_is_bounded_by_values_as_well() {
    let mut join = LabelJoin::new(JoinLimits { values_max: 10, ..LIMITS }, 0);
    for number in 0..20 {
        let rows = vec![PredictedValue::Values(vec![0.0; 3])];
        join.predicted(PredictionRecord { request_id: id(number), version: version(), at: 0, rows }, 0);
        join.labelled(
            Label { request_id: id(100 + number), label: LabelValue::Targets(vec![vec![0.0; 3]]), at: None },
            0,
        );
    }
    assert_eq!((join.predictions.len(), join.early.len(), join.orphans()), (3, 3, 17));
}

#[test]
fn accuracy_is_that_of_the_latest_labels_and_counters_are_of_all() {
    let mut join = LabelJoin::new(JoinLimits { entries_max: 1_000, ..LIMITS }, 0);
    for number in 0..400 {
        join.predicted(predicted(number, "7"), 0);
        join.labelled(label(number, text(if number < 300 { "7" } else { "3" })), 1);
    }
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((accuracy.matched, accuracy.correct, accuracy.ratio), (400, 300, Some(0.0)));
    join.labelled(label(399, text("7")), 2);
    join.labelled(label(0, text("3")), 2);
    let corrected = join.accuracy(version()).unwrap();
    assert_eq!((corrected.matched, corrected.correct, corrected.ratio), (400, 300, Some(0.01)));
}

#[test]
fn counts_of_a_version_stay_while_something_of_it_is_held() {
    let mut join = join();
    join.predicted(predicted(1, "7"), 0);
    join.retain_versions(|_| false);
    assert!(join.accuracy(version()).is_some());
    join.expire(current(2_000));
    join.retain_versions(|_| false);
    assert!(join.accuracy(version()).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Predict(u32, u64),
    Label(u32, u8),
    Expire(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..80_u32, 0..2_000_u64).prop_map(|(number, at)| Step::Predict(number, at)),
        (0..80_u32, 0..3_u8).prop_map(|(number, class)| Step::Label(number, class)),
        (0..3_000_u64).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn predictions_are_always_matched_pending_or_expired(steps in steps()) {
        let mut join = join();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Predict(number, at) => join.predicted(predicted(number, "1"), at),
                Step::Label(number, class) => join.labelled(label(number, Scalar::Integer(i64::from(class))), now),
                Step::Expire(at) => {
                    now = now.max(at);
                    join.expire(current(now));
                }
            }
            if let Some(accuracy) = join.accuracy(version()) {
                prop_assert_eq!(accuracy.predictions, accuracy.matched + accuracy.pending + accuracy.expired);
                prop_assert!(accuracy.correct <= accuracy.matched);
            }
            prop_assert!(join.predictions.len() <= LIMITS.entries_max);
            prop_assert!(join.early.len() <= LIMITS.entries_max);
        }
    }

    #[test]
    fn reading_the_streams_again_changes_nothing(numbers in proptest::collection::vec(0..30_u32, 1..60)) {
        let mut join = join();
        for number in &numbers {
            join.predicted(predicted(*number, "1"), 0);
            join.labelled(label(*number, Scalar::Integer(1)), 0);
        }
        let distinct = numbers.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
        let accuracy = join.accuracy(version()).unwrap();
        prop_assert_eq!((accuracy.predictions, accuracy.matched, accuracy.correct), (distinct, distinct, distinct));
    }

    /// What a monitor that was there all the time counts, and one that reads everything after a restart.
    #[test]
    fn the_order_in_which_the_streams_are_read_changes_nothing(
        predictions in proptest::collection::btree_map(0..20_u32, 0..4_000_u64, 0..20),
        labels in proptest::collection::btree_map(0..30_u32, (0..5_000_u64, 0..3_i64), 0..30),
    ) {
        let mut labels: Vec<_> = labels.into_iter().map(|(number, (at, class))| (number, at, class)).collect();
        labels.sort_by_key(|(_, at, _)| *at);
        let predict = |join: &mut LabelJoin, (number, at): (&u32, &u64)| join.predicted(predicted(*number, "1"), *at);
        let tell = |join: &mut LabelJoin, (number, at, class): &(u32, u64, i64)| {
            join.labelled(label(*number, Scalar::Integer(*class)), *at);
        };
        let result = |mut join: LabelJoin| {
            join.expire(current(9_000));
            (join.accuracy(version()), join.orphans())
        };

        let mut one_pass = join();
        for now in 0..5_001_u64 {
            predictions.iter().filter(|(_, at)| **at == now).for_each(|told| predict(&mut one_pass, told));
            labels.iter().filter(|(_, at, _)| *at == now).for_each(|told| tell(&mut one_pass, told));
            if now % 100 == 0 {
                one_pass.expire(current(now));
            }
        }
        let mut predictions_first = join();
        predictions.iter().for_each(|told| predict(&mut predictions_first, told));
        predictions_first.expire(Watermarks { predictions: 9_000, labels: 0 });
        labels.iter().for_each(|told| tell(&mut predictions_first, told));
        let mut labels_first = join();
        labels.iter().for_each(|told| tell(&mut labels_first, told));
        labels_first.expire(Watermarks { predictions: 0, labels: 9_000 });
        predictions.iter().for_each(|told| predict(&mut labels_first, told));

        let expected = result(one_pass);
        prop_assert_eq!(&result(predictions_first), &expected);
        prop_assert_eq!(&result(labels_first), &expected);
    }
}
