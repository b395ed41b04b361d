use allocation_counter::measure;
use leat_engine::{Batch, Plan, Scratch, compile};
use leat_model::{Activation, Dense, Task};

use crate::models;

type MakeLayer = fn(usize, usize, Activation, u64) -> Dense;

const KINDS: [(&str, MakeLayer); 3] = [
    ("f32", models::real),
    ("int8", models::integer),
    ("pruned", |inputs, outputs, activation, seed| {
        models::pruned(models::real(inputs, outputs, activation, seed))
    }),
];

#[test]
fn a_run_allocates_nothing_once_its_scratch_has_grown() {
    for (kind, layer) in KINDS {
        let model = models::of(Task::Classification, models::network(&[64, 128, 64, 10], layer));
        let plan = compile(&model).expect("a valid model");
        let (input, mut scratch) = (models::values(64 * 256, 3), Scratch::default());
        let mut output = vec![0.0; 256 * 10];
        let mut run = |rows: usize| {
            let (input, output) = (&input[..rows * 64], &mut output[..rows * 10]);
            plan.run(Batch { rows, input, output }, &mut scratch).expect("finite rows");
        };
        run(256);
        for rows in [1, 8, 32, 256] {
            assert_eq!(measure(|| run(rows)).count_total, 0, "{kind}, {rows} rows");
        }
    }
}

/// A plan owns its packed weights and little else: 200 small models fit a worker easily.
#[test]
fn two_hundred_small_models_take_little_more_memory_than_their_weights() {
    for (kind, layer) in KINDS {
        let model = models::of(Task::Classification, models::network(&[64, 128, 64, 10], layer));
        let mut plans: Vec<Box<dyn Plan>> = Vec::with_capacity(200);
        let kept = measure(|| plans.extend((0..200).map(|_| compile(&model).expect("a valid model"))));
        let weights = 4 * (64 * 128 + 128 * 64 + 64 * 10);
        let each = usize::try_from(kept.bytes_current).expect("plans own memory") / plans.len();
        println!("{kind}: {each} bytes each, {weights} of weights in f32");
        assert!(each < 3 * weights, "{kind}: {each} bytes");
    }
}
