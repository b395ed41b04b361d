use std::cell::Cell;
use std::rc::Rc;

use leat_engine::{Kernels, Scratch, compile, compile_with};
use leat_model::{Activation, Dense, Network, Task};
use leat_pauses::with_pauses;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::models::{self, bits, run};

fn activation() -> impl Strategy<Value = Activation> {
    use Activation::{Gelu, Identity, Relu, Sigmoid, Tanh};
    proptest::sample::select(vec![Identity, Relu, Tanh, Sigmoid, Gelu])
}

/// Layers that run on `f32` or on integers, in any order.
fn network() -> impl Strategy<Value = Network> {
    let widths = vec(1_usize..130, 1..4);
    (widths, vec((activation(), any::<bool>(), any::<u32>()), 3), 2_usize..20).prop_map(
        |(mut widths, choices, outputs)| {
            widths.push(outputs);
            let layer =
                |(pair, (activation, is_integer, seed)): (&[usize], &(Activation, bool, u32))| -> Dense {
                    let make = if *is_integer { models::integer } else { models::real };
                    let layer = make(pair[0], pair[1], *activation, u64::from(*seed));
                    if *is_integer || seed % 2 == 0 { layer } else { models::pruned(layer) }
                };
            Network { layers: widths.windows(2).zip(&choices).map(layer).collect() }
        },
    )
}

fn task() -> impl Strategy<Value = Task> {
    proptest::sample::select(vec![Task::Regression, Task::Classification])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_has_the_same_bits_in_every_batch_and_with_all_kernels(
        network in network(), task in task(), rows in 1_usize..230, seed: u32,
    ) {
        let model = models::of(task, network);
        let input = models::values(rows * model.signature.features.len(), u64::from(seed));
        let features = model.signature.features.len();
        let mut scratch = Scratch::default();
        let scalar = compile_with(&model, Kernels::scalar()).expect("a valid model");
        let expected = bits(&run(scalar.as_ref(), &input, &mut scratch).expect("finite rows"));
        for kernels in Kernels::available() {
            let plan = compile_with(&model, kernels).expect("a valid model");
            let together = run(plan.as_ref(), &input, &mut scratch).expect("finite rows");
            prop_assert_eq!(&bits(&together), &expected);
            let alone = input.chunks_exact(features).flat_map(|row| run(plan.as_ref(), row, &mut scratch).expect("finite"));
            prop_assert_eq!(&bits(&alone.collect::<Vec<_>>()), &expected);
        }
    }
}

#[test]
fn a_scratch_may_serve_plans_of_any_size_in_turn() {
    let mut scratch = Scratch::default();
    for widths in [&[3, 200, 2][..], &[90, 5, 4], &[3, 200, 2], &[1, 2]] {
        for layer in [models::real, models::integer] {
            let model = models::of(Task::Classification, models::network(widths, layer));
            for plan in models::plans(&model) {
                let input = models::values(33 * widths[0], 5);
                let shared = run(plan.as_ref(), &input, &mut scratch).expect("finite rows");
                assert_eq!(shared, run(plan.as_ref(), &input, &mut Scratch::default()).expect("finite rows"));
            }
        }
    }
}

#[test]
fn a_scratch_grows_once_and_no_further_than_a_block_of_rows() {
    let model = models::of(Task::Classification, models::network(&[64, 128, 10], models::integer));
    let plan = compile(&model).expect("a valid model");
    let mut scratch = Scratch::default();
    let mut bytes_after = |rows: usize| {
        run(plan.as_ref(), &models::values(64 * rows, 3), &mut scratch).expect("finite rows");
        scratch.bytes()
    };
    let first = bytes_after(500);
    assert_eq!([bytes_after(1), bytes_after(500), bytes_after(5_000)], [first; 3]);
}

#[test]
fn the_larger_a_model_the_more_pauses_there_are_while_a_plan_is_made() {
    for layer in [models::real, models::integer] {
        let pauses_with = |width| {
            let model = models::of(Task::Classification, models::network(&[64, width, 10], layer));
            let pauses = Rc::new(Cell::new(0));
            let counting = pauses.clone();
            let plan = with_pauses(
                move || counting.set(counting.get() + 1),
                || compile(&model).expect("a valid model"),
            );
            let answer =
                |plan| bits(&run(plan, &models::values(64 * 9, 3), &mut Scratch::default()).expect("finite"));
            assert_eq!(answer(plan.as_ref()), answer(compile(&model).expect("a valid model").as_ref()));
            pauses.get()
        };
        let [small, large] = [pauses_with(64), pauses_with(8192)];
        // Reading the names, checking and packing each layer, and measuring.
        assert!(small > 10, "{small}");
        // 524,288 weights, of which at most 16,384 are gone over at once.
        assert!(large > small + 32, "{small} and {large}");
    }
}

#[test]
fn probabilities_sum_to_one() {
    let model = models::of(Task::Classification, models::network(&[64, 64, 10], models::integer));
    let plan = compile(&model).expect("a valid model");
    let output =
        run(plan.as_ref(), &models::values(64 * 50, 3), &mut Scratch::default()).expect("finite rows");
    for row in output.chunks_exact(10) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
    }
}

#[test]
fn a_plan_says_what_it_is() {
    let kernels = Kernels::scalar();
    let describe = |network| {
        compile_with(&models::of(Task::Regression, network), kernels).expect("a valid model").describe()
    };
    assert_eq!(describe(models::network(&[64, 128, 10], models::real)), "native scalar f32 64-128-10");
    assert_eq!(describe(models::network(&[64, 64, 10], models::integer)), "native scalar int8 64-64-10");
    let mut mixed = models::network(&[4, 5, 6], models::real);
    mixed.layers[1] = models::integer(5, 6, Activation::Identity, 1);
    assert_eq!(describe(mixed), "native scalar int8+f32 4-5-6");
}
