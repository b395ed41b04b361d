use leat_engine::measure::{Latency, compare, latency};
use leat_engine::{Error, compile};
use leat_model::Task;

use crate::models;

fn check(latency: &Latency, batch: usize) {
    assert_eq!(latency.batch, batch);
    assert!(latency.runs >= 30, "{latency:?}");
    assert!(0 < latency.p50_ns && latency.p50_ns <= latency.p99_ns, "{latency:?}");
    assert!(0 < latency.mean_ns, "{latency:?}");
}

#[test]
fn measures_a_plan_on_fewer_rows_than_a_batch() {
    let model = models::of(Task::Classification, models::network(&[64, 64, 10], models::real));
    let plan = compile(&model).expect("a valid model");
    check(&latency(plan.as_ref(), 32, &models::values(64 * 3, 1)).expect("a measurement"), 32);
}

#[test]
fn finds_the_smaller_of_two_plans_faster() {
    let plan = |widths: &[usize]| {
        compile(&models::of(Task::Classification, models::network(widths, models::real)))
            .expect("a valid model")
    };
    let (large, small) = (plan(&[64, 512, 512, 10]), plan(&[64, 8, 10]));
    let rows = models::values(64 * 20, 1);
    let (slow, fast) = compare(large.as_ref(), small.as_ref(), 1, &rows).expect("a measurement");
    check(&slow, 1);
    check(&fast, 1);
    assert!(fast.p50_ns < slow.p50_ns, "{fast:?} {slow:?}");
}

#[test]
fn refuses_to_measure_nothing() {
    let model = models::of(Task::Regression, models::network(&[4, 2], models::real));
    let plan = compile(&model).expect("a valid model");
    assert!(matches!(latency(plan.as_ref(), 0, &[0.0; 4]), Err(Error::NothingToMeasure { .. })));
    assert!(matches!(latency(plan.as_ref(), usize::MAX, &[0.0; 4]), Err(Error::BatchTooLarge { .. })));
    assert!(matches!(latency(plan.as_ref(), 1, &[]), Err(Error::NothingToMeasure { .. })));
    assert!(matches!(latency(plan.as_ref(), 1, &[0.0; 5]), Err(Error::InputLength { .. })));
    assert!(matches!(latency(plan.as_ref(), 1, &[f32::NAN; 4]), Err(Error::NotFinite { .. })));
}
