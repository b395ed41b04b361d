use leat_contract::Scalar;
use proptest::prelude::*;

use super::*;

const LIMITS: JoinLimits =
    JoinLimits { wait_ms: 1_000, grace_ms: 100, predictions_max: 50, early_labels_max: 50 };

fn version() -> ModelVersion {
    "1".parse().unwrap()
}

fn id(number: u32) -> RequestId {
    format!("r{number}").parse().unwrap()
}

fn predicted(number: u32, at: u64, class: &str) -> PredictionRecord {
    let rows = vec![PredictedValue::Class { label: class.to_owned(), probability: 0.9 }];
    PredictionRecord { request_id: id(number), version: version(), at, rows }
}

fn label(number: u32, value: Scalar) -> Label {
    Label { request_id: id(number), label: LabelValue::One(value), at: None }
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

#[test]
fn a_label_is_compared_with_the_prediction_of_its_request() {
    let mut join = LabelJoin::new(LIMITS);
    join.predicted(predicted(1, 0, "7"));
    join.predicted(predicted(2, 0, "3"));
    join.predicted(predicted(3, 0, "5"));
    join.labelled(label(1, Scalar::Integer(7)), 1);
    join.labelled(label(2, text("8")), 1);
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((accuracy.predictions, accuracy.matched, accuracy.pending, accuracy.correct), (3, 2, 1, 1));
    assert_eq!(accuracy.ratio, Some(0.5));
}

#[test]
fn a_label_may_come_before_its_prediction() {
    let mut join = LabelJoin::new(LIMITS);
    join.labelled(label(1, text("7")), 0);
    join.predicted(predicted(1, 0, "7"));
    join.expire(200);
    assert_eq!(join.accuracy(version()).unwrap().correct, 1);
    assert_eq!(join.orphans, 0);
}

#[test]
fn a_label_without_a_prediction_becomes_an_orphan() {
    let mut join = LabelJoin::new(LIMITS);
    join.labelled(label(1, text("7")), 0);
    join.expire(101);
    assert_eq!(join.orphans, 1);
}

#[test]
fn a_second_label_corrects_the_first_and_the_same_again_is_a_duplicate() {
    let mut join = LabelJoin::new(LIMITS);
    join.predicted(predicted(1, 0, "7"));
    join.labelled(label(1, text("3")), 1);
    join.labelled(label(1, text("7")), 2);
    join.labelled(label(1, text("7")), 3);
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((accuracy.matched, accuracy.correct, accuracy.duplicates), (1, 1, 1));
    assert_eq!(accuracy.ratio, Some(1.0));
}

#[test]
fn regression_gives_the_mean_absolute_error_over_rows_and_targets() {
    let mut join = LabelJoin::new(LIMITS);
    let rows = vec![PredictedValue::Values(vec![1.0, 2.0]), PredictedValue::Values(vec![3.0, 4.0])];
    join.predicted(PredictionRecord { request_id: id(1), version: version(), at: 0, rows });
    let truth = LabelValue::Targets(vec![vec![1.5, 2.0], vec![3.0, 2.5]]);
    join.labelled(Label { request_id: id(1), label: truth, at: None }, 1);
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!(accuracy.mean_absolute_error, Some(0.5));
    assert_eq!(accuracy.ratio, None);
}

#[test]
fn a_label_for_another_number_of_rows_is_unusable_and_leaves_the_prediction_pending() {
    let mut join = LabelJoin::new(LIMITS);
    join.predicted(predicted(1, 0, "7"));
    join.labelled(
        Label { request_id: id(1), label: LabelValue::Rows(vec![text("7"), text("7")]), at: None },
        1,
    );
    let accuracy = join.accuracy(version()).unwrap();
    assert_eq!((join.unusable(), accuracy.pending, accuracy.matched), (1, 1, 0));
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
        let mut join = LabelJoin::new(LIMITS);
        let mut now = 0;
        for step in steps {
            match step {
                Step::Predict(number, at) => join.predicted(predicted(number, at, "1")),
                Step::Label(number, class) => join.labelled(label(number, Scalar::Integer(i64::from(class))), now),
                Step::Expire(at) => {
                    now = now.max(at);
                    join.expire(now);
                }
            }
            if let Some(accuracy) = join.accuracy(version()) {
                prop_assert_eq!(accuracy.predictions, accuracy.matched + accuracy.pending + accuracy.expired);
                prop_assert!(accuracy.correct <= accuracy.matched);
            }
            prop_assert!(join.predictions.len() <= LIMITS.predictions_max);
            prop_assert_eq!(join.predictions.len(), join.by_age.len());
            prop_assert!(join.early.len() <= LIMITS.early_labels_max);
        }
    }

    #[test]
    fn reading_the_streams_again_changes_nothing(numbers in proptest::collection::vec(0..30_u32, 1..60)) {
        let mut join = LabelJoin::new(LIMITS);
        for number in &numbers {
            join.predicted(predicted(*number, 0, "1"));
            join.labelled(label(*number, Scalar::Integer(1)), 0);
        }
        let distinct = numbers.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
        let accuracy = join.accuracy(version()).unwrap();
        prop_assert_eq!((accuracy.predictions, accuracy.matched, accuracy.correct), (distinct, distinct, distinct));
    }
}
