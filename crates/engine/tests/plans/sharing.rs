use std::sync::Arc;

use leat_engine::{Error, Plan, Scratch};
use leat_model::{Activation, Task, Tensor};

use crate::models::{self, Worthwhile, bits, run, run_shared};

#[test]
fn answers_have_the_same_bits_however_many_threads_share_a_batch() {
    for layer in [models::real, models::integer] {
        let model = models::of(Task::Classification, models::network(&[30, 40, 20, 10], layer));
        for plan in models::plans(&model) {
            let input = models::values(30 * 301, 5);
            let expected = bits(&run(plan.as_ref(), &input, &mut Scratch::default()).expect("finite rows"));
            let plan: Arc<dyn Plan> = Arc::new(Worthwhile(plan));
            for threads in 1..=4 {
                let output = run_shared(threads, &plan, &input).expect("finite rows");
                assert_eq!(bits(&output), expected, "{threads} threads, {}", plan.describe());
            }
        }
    }
}

/// What goes wrong with a row of [`stumbling`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    NotFinite,
    /// In the last layer.
    Overflow,
    /// In the layer before one that may be on integers.
    EarlyOverflow,
}

/// Gives the first of three features plus one, after it was multiplied by ten. The second one overflows in the first layer already.
fn stumbling(last_is_integer: bool) -> Vec<Arc<dyn Plan>> {
    let mut network = models::network(&[3, 2, 2], models::real);
    network.layers[0].weights = Tensor::f32(vec![2, 3], vec![1.0, 0.0, 0.0, 0.0, f32::MAX, 0.0]);
    network.layers[1].weights = Tensor::f32(vec![2, 2], vec![10.0, 1.0, 0.0, 1.0]);
    if last_is_integer {
        let last = models::integer(2, 2, Activation::Identity, 3);
        network.layers.push(last);
    }
    let plans = models::plans(&models::of(Task::Regression, network));
    plans.into_iter().map(|plan| Arc::new(Worthwhile(plan)) as Arc<dyn Plan>).collect()
}

fn spoil(input: &mut [f32], row: usize, fault: Fault) {
    match fault {
        Fault::NotFinite => input[row * 3 + 2] = f32::NAN,
        Fault::Overflow => input[row * 3] = f32::MAX,
        Fault::EarlyOverflow => input[row * 3 + 1] = 100.0,
    }
}

#[test]
fn the_first_row_that_fails_is_named_whatever_else_fails_and_whoever_runs_it() {
    use Fault::{EarlyOverflow, NotFinite, Overflow};
    let faults = [NotFinite, Overflow, EarlyOverflow];
    let pairs = faults.into_iter().flat_map(|first| faults.map(|second| (first, second)));
    for (last_is_integer, (first, second)) in
        [false, true].into_iter().flat_map(|it| pairs.clone().map(move |pair| (it, pair)))
    {
        for plan in stumbling(last_is_integer) {
            // Within a block, across two, and across those of several threads.
            for (rows, earlier, later) in
                [(64, 10, 50), (64, 0, 63), (200, 90, 97), (200, 150, 190), (300, 10, 290)]
            {
                let mut input = vec![0.5; rows * 3];
                spoil(&mut input, earlier, first);
                spoil(&mut input, later, second);
                for threads in 1..=3 {
                    let error = run_shared(threads, &plan, &input).expect_err("two rows fail");
                    let is_expected = match error {
                        Error::NotFinite { row, feature: 2 } => row == earlier && first == NotFinite,
                        Error::Overflow { row } => row == earlier && first != NotFinite,
                        _ => false,
                    };
                    assert!(
                        is_expected,
                        "{error}: {first:?} in row {earlier}, {second:?} in row {later}, {threads} threads, {}",
                        plan.describe()
                    );
                }
            }
        }
    }
}
