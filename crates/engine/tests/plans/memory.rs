use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use allocation_counter::measure;
use leat_engine::{Batch, Error, Plan, Scratch, Team, compile};
use leat_model::{Activation, Dense, Task};

use crate::models;

type MakeLayer = fn(usize, usize, Activation, u64) -> Dense;

/// What plans are made of, and how many times their weights in `f32` they may take.
const KINDS: [(&str, MakeLayer, f64); 3] = [
    ("f32", models::real, 1.1),
    ("int8", models::integer, 0.35),
    // Stored twice, since few rows are run with the zeros.
    (
        "pruned",
        |inputs, outputs, activation, seed| models::pruned(models::real(inputs, outputs, activation, seed)),
        1.4,
    ),
];

#[test]
fn a_run_allocates_nothing_once_its_scratch_has_grown() {
    for (kind, layer, _) in KINDS {
        let model = models::of(Task::Classification, models::network(&[64, 128, 64, 10], layer));
        for plan in models::plans(&model) {
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
}

/// Counts what a plan allocates on whatever thread it runs, and is worth sharing.
struct Counting {
    plan: Box<dyn Plan>,
    allocations: AtomicU64,
    runs: AtomicU64,
}

impl Plan for Counting {
    fn features(&self) -> usize {
        self.plan.features()
    }

    fn outputs(&self) -> usize {
        self.plan.outputs()
    }

    fn row_ns(&self) -> f64 {
        1e9
    }

    fn bytes(&self) -> usize {
        self.plan.bytes()
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let mut outcome = Ok(());
        let counted = measure(|| outcome = self.plan.run(batch, scratch));
        self.allocations.fetch_add(counted.count_total, Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    fn describe(&self) -> String {
        self.plan.describe()
    }
}

/// Allocations are counted by thread: those of the caller here, those of the others in the plan.
#[test]
fn a_shared_run_allocates_nothing_either() {
    let model = models::of(Task::Classification, models::network(&[64, 128, 64, 10], models::real));
    let plan = Arc::new(Counting {
        plan: compile(&model).expect("a valid model"),
        allocations: AtomicU64::new(0),
        runs: AtomicU64::new(0),
    });
    let shared: Arc<dyn Plan> = plan.clone();
    let team = Team::new(NonZeroUsize::new(3).expect("three")).expect("threads");
    let (input, mut scratch) = (models::values(64 * 300, 3), Scratch::default());
    let mut output = vec![0.0; 300 * 10];
    let mut run = |rows: usize| {
        let (input, output) = (&input[..rows * 64], &mut output[..rows * 10]);
        team.run(&shared, Batch { rows, input, output }, &mut scratch).expect("finite rows");
    };
    (0..20).for_each(|_| run(300));
    // What a channel needs to wait grows when somebody waits for the first time, which on a busy machine may be late: once for each
    // channel, so that one of these rounds is without.
    let mut round = || {
        plan.allocations.store(0, Ordering::Relaxed);
        plan.runs.store(0, Ordering::Relaxed);
        let of_caller = measure(|| (0..200).for_each(|_| [300, 30, 3].into_iter().for_each(&mut run)));
        assert_eq!(plan.runs.load(Ordering::Relaxed), 3 * 600, "each run in three shares");
        of_caller.count_total + plan.allocations.load(Ordering::Relaxed)
    };
    let allocations: Vec<u64> = (0..10).map(|_| round()).collect();
    assert!(allocations.contains(&0), "{allocations:?}");
}

/// A plan owns its packed weights and little else, and knows how much that is: 200 small models fit a worker easily.
#[test]
fn a_plan_takes_as_much_memory_as_it_says_and_little_more_than_its_weights() {
    for (kind, layer, ratio_max) in KINDS {
        let model = models::of(Task::Classification, models::network(&[64, 128, 64, 10], layer));
        let mut plans: Vec<Box<dyn Plan>> = Vec::with_capacity(200);
        let kept = measure(|| plans.extend((0..200).map(|_| compile(&model).expect("a valid model"))));
        let weights = 4 * (64 * 128 + 128 * 64 + 64 * 10);
        let kept = usize::try_from(kept.bytes_current).expect("plans own memory");
        let said: usize = plans.iter().map(|plan| plan.bytes()).sum();
        println!(
            "{kind}: {} bytes each, {} as they say, {weights} of weights in f32",
            kept / 200,
            said / 200
        );
        let (kept, said) = (kept as f64, said as f64);
        assert!((0.95..1.05).contains(&(said / kept)), "{kind}: {said} bytes of {kept}");
        assert!(kept < ratio_max * 200.0 * weights as f64, "{kind}: {kept} bytes");
    }
}
