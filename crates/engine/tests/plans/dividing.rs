//! Threads that share the outputs of large layers give what one thread gives.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use allocation_counter::measure;
use leat_engine::{
    Activations, ActivationsMut, Aligned, Batch, Divisible, Error, Kernels, Piece, Plan, Scratch, Stage,
    Team, compile, compile_with,
};
use leat_model::{Activation, Dense, Model, Task};

use crate::models::{self, bits, integer, real};

/// In integers, three and two pieces are worth handing over of the first layers, and none of the last; in `f32` twelve and eight.
const WIDTHS: [usize; 4] = [1600, 2000, 1100, 10];
/// For more rows of a layer in `f32`, rows are shared.
const ROWS_MAX: usize = 32;

/// A plan that counts pieces, and what computing them allocates.
struct Watched {
    plan: Box<dyn Plan>,
    pieces: AtomicU64,
    allocations: AtomicU64,
    /// Whether the first outputs of a layer, which the caller computes, panic.
    first_panics: AtomicBool,
    /// Whether the others do, which are handed over.
    others_panic: AtomicBool,
}

impl Watched {
    fn new(plan: Box<dyn Plan>) -> Arc<Self> {
        let (pieces, allocations) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { plan, pieces, allocations, first_panics: false.into(), others_panic: false.into() })
    }

    fn inner(&self) -> &dyn Divisible {
        self.plan.divisible().expect("large layers")
    }
}

impl Plan for Watched {
    fn features(&self) -> usize {
        self.plan.features()
    }

    fn outputs(&self) -> usize {
        self.plan.outputs()
    }

    fn row_ns(&self) -> f64 {
        self.plan.row_ns()
    }

    fn bytes(&self) -> usize {
        self.plan.bytes()
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        self.plan.run(batch, scratch)
    }

    fn divisible(&self) -> Option<&dyn Divisible> {
        Some(self)
    }

    fn describe(&self) -> String {
        self.plan.describe()
    }
}

impl Divisible for Watched {
    fn divides(&self, rows: usize) -> bool {
        self.inner().divides(rows)
    }

    fn pieces_max(&self, layer: usize) -> usize {
        self.inner().pieces_max(layer)
    }

    fn run_divided(
        &self,
        batch: Batch<'_>,
        scratch: &mut Scratch,
        share: &mut dyn FnMut(Stage<'_>),
    ) -> Result<(), Error> {
        self.inner().run_divided(batch, scratch, share)
    }

    fn run_piece(
        &self,
        piece: &Piece,
        input: Activations<'_>,
        output: ActivationsMut<'_>,
        workspace: &mut Aligned<u8>,
    ) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
        let panics = match piece.panels.start {
            0 => self.first_panics.load(Ordering::Relaxed),
            _ => self.others_panic.load(Ordering::Relaxed),
        };
        assert!(!panics, "a test asked for a panic");
        let (input_len, output_len) = (
            match input {
                Activations::Values(values) => values.len(),
                Activations::Codes(codes) => codes.len(),
            },
            match &output {
                ActivationsMut::Values(values) => values.len(),
                ActivationsMut::Codes(codes) => codes.len(),
            },
        );
        assert_eq!(input_len, piece.rows * piece.input_stride, "what is copied are rows");
        assert_eq!(output_len, piece.rows * piece.output_stride, "what is copied are rows");
        let counted = measure(|| self.inner().run_piece(piece, input, output, workspace));
        self.allocations.fetch_add(counted.count_total, Ordering::Relaxed);
    }
}

fn team(threads: usize) -> Team {
    Team::new(NonZeroUsize::new(threads).expect("at least one")).expect("threads")
}

fn run(team: &Team, plan: &Arc<Watched>, input: &[f32]) -> Result<Vec<f32>, Error> {
    run_with(team, plan, input, &mut Scratch::default())
}

fn run_with(
    team: &Team,
    plan: &Arc<Watched>,
    input: &[f32],
    scratch: &mut Scratch,
) -> Result<Vec<f32>, Error> {
    let plan: Arc<dyn Plan> = plan.clone();
    let rows = input.len() / WIDTHS[0];
    let mut output = vec![0.0; rows * plan.outputs()];
    team.run(&plan, Batch { rows, input, output: &mut output }, scratch)?;
    Ok(output)
}

/// Working memory that served a large batch of another model before.
fn grown() -> Scratch {
    let (rows, mut scratch) = (150, Scratch::default());
    for layer in [real, integer] {
        let other = models::of(Task::Classification, models::network(&[4, 4096, 2], layer));
        let plan = compile(&other).expect("a valid model");
        models::run(&*plan, &models::values(4 * rows, 1), &mut scratch).expect("finite rows");
    }
    scratch
}

/// A layer of which a tenth of the weights is left.
fn without_most(inputs: usize, outputs: usize, activation: Activation, seed: u64) -> Dense {
    models::pruned(real(inputs, outputs, activation, seed))
}

/// Codes of eight bits that are multiplied as numbers.
fn weight_only(inputs: usize, outputs: usize, activation: Activation, seed: u64) -> Dense {
    Dense { input_quantization: None, ..integer(inputs, outputs, activation, seed) }
}

/// Numbers and codes in turns, so that values become codes and codes values between layers that are shared.
fn mixed(inputs: usize, outputs: usize, activation: Activation, seed: u64) -> Dense {
    let layer = if inputs == WIDTHS[1] { integer } else { real };
    layer(inputs, outputs, activation, seed)
}

fn model(layer: fn(usize, usize, Activation, u64) -> Dense) -> Model {
    models::of(Task::Classification, models::network(&WIDTHS, layer))
}

#[test]
fn answers_do_not_depend_on_how_many_threads_share_outputs() {
    let teams = [1, 2, 3, 8].map(|threads| (threads, team(threads)));
    let input = models::values(WIDTHS[0] * (ROWS_MAX + 1), 5);
    let mut scratch = grown();
    type MakeLayer = fn(usize, usize, Activation, u64) -> Dense;
    // From 16 rows on pruned layers may run without their zeros, and then share nothing.
    let kinds: [(MakeLayer, usize); 5] =
        [(real, ROWS_MAX), (integer, 16), (weight_only, ROWS_MAX), (mixed, ROWS_MAX), (without_most, 15)];
    for (layer, rows_max) in kinds {
        let model = model(layer);
        for kernels in Kernels::available() {
            let plan = Watched::new(compile_with(&model, kernels).expect("a valid model"));
            for rows in [1, 2, 5, 17, ROWS_MAX, ROWS_MAX + 1] {
                let input = &input[..rows * WIDTHS[0]];
                let alone = models::run(&*plan, input, &mut Scratch::default()).expect("finite rows");
                for (threads, team) in &teams {
                    plan.pieces.store(0, Ordering::Relaxed);
                    let together = run_with(team, &plan, input, &mut scratch).expect("finite rows");
                    let name = format!("{}, {rows} rows, {threads} threads", plan.describe());
                    assert_eq!(bits(&together), bits(&alone), "{name}");
                    let pieces = plan.pieces.load(Ordering::Relaxed);
                    let is_divided = *threads > 1 && rows <= rows_max;
                    let is_known = rows <= rows_max || rows_max > 15;
                    assert!((pieces >= 2) == is_divided || !is_known, "{name}: {pieces} pieces");
                }
            }
        }
    }
}

#[test]
fn a_layer_is_divided_into_as_many_pieces_as_are_worth_it() {
    for (layer, expected) in [(real as fn(_, _, _, _) -> _, [2 + 2, 8 + 8]), (integer, [2 + 2, 3 + 2])] {
        let plan = Watched::new(compile(&model(layer)).expect("a valid model"));
        for (threads, expected) in [2, 8].into_iter().zip(expected) {
            plan.pieces.store(0, Ordering::Relaxed);
            run(&team(threads), &plan, &models::values(WIDTHS[0], 5)).expect("finite rows");
            assert_eq!(plan.pieces.load(Ordering::Relaxed), expected, "{threads} threads");
        }
    }
}

#[test]
fn small_models_are_not_divided() {
    let small = models::of(Task::Classification, models::network(&[64, 128, 64, 10], real));
    assert!(compile(&small).expect("a valid model").divisible().is_none());
}

#[test]
fn a_divided_run_refuses_what_any_other_refuses() {
    let (team, plan) = (team(3), Watched::new(compile(&model(integer)).expect("a valid model")));
    let mut input = models::values(WIDTHS[0] * 3, 5);
    input[2 * WIDTHS[0] + 7] = f32::NAN;
    let error = run(&team, &plan, &input).expect_err("a feature is NaN");
    assert!(matches!(error, Error::NotFinite { row: 2, feature: 7 }), "{error}");
    let shared: Arc<dyn Plan> = plan;
    let batch = Batch { rows: 2, input: &input[1..], output: &mut [0.0; 20] };
    let error = team.run(&shared, batch, &mut Scratch::default()).expect_err("too long");
    assert!(matches!(error, Error::InputLength { rows: 2, .. }), "{error}");
}

#[test]
fn a_panic_in_a_piece_reaches_the_caller_and_leaves_the_team_as_it_was() {
    let (team, plan) = (team(3), Watched::new(compile(&model(real)).expect("a valid model")));
    let input = models::values(WIDTHS[0] * 2, 5);
    let calm = run(&team, &plan, &input).expect("finite rows");
    for panics in [&plan.first_panics, &plan.others_panic, &plan.first_panics] {
        panics.store(true, Ordering::Relaxed);
        let panic = catch_unwind(AssertUnwindSafe(|| run(&team, &plan, &input))).expect_err("a panic");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a test asked for a panic"));
        panics.store(false, Ordering::Relaxed);
        assert_eq!(bits(&run(&team, &plan, &input).expect("finite rows")), bits(&calm));
    }
}

#[test]
fn several_callers_share_one_team() {
    let (team, plan) = (team(3), Watched::new(compile(&model(integer)).expect("a valid model")));
    let inputs = [1, 2, 3, 5].map(|rows| models::values(WIDTHS[0] * rows, rows as u64));
    let call = |input: &Vec<f32>| {
        let alone = models::run(&*plan, input, &mut Scratch::default()).expect("finite rows");
        for _ in 0..30 {
            assert_eq!(bits(&run(&team, &plan, input).expect("finite rows")), bits(&alone));
        }
    };
    let call = &call;
    std::thread::scope(|scope| {
        for input in &inputs {
            scope.spawn(move || call(input));
        }
    });
}

/// Allocations are counted by thread: those of the caller here, those of the others in the plan.
#[test]
fn a_divided_run_allocates_nothing_in_steady_state() {
    for layer in [real, integer] {
        let plan = Watched::new(compile(&model(layer)).expect("a valid model"));
        let (team, shared): (_, Arc<dyn Plan>) = (team(3), plan.clone());
        let (input, mut scratch) = (models::values(WIDTHS[0] * ROWS_MAX, 3), Scratch::default());
        let mut output = vec![0.0; ROWS_MAX * 10];
        let mut run = |rows: usize| {
            let (input, output) = (&input[..rows * WIDTHS[0]], &mut output[..rows * 10]);
            team.run(&shared, Batch { rows, input, output }, &mut scratch).expect("finite rows");
        };
        (0..10).for_each(|_| run(ROWS_MAX));
        // As in `memory`, a channel may need to grow when somebody waits for the first time.
        let mut round = || {
            plan.allocations.store(0, Ordering::Relaxed);
            let of_caller = measure(|| [1, ROWS_MAX, 3].into_iter().cycle().take(30).for_each(&mut run));
            of_caller.count_total + plan.allocations.load(Ordering::Relaxed)
        };
        let allocations: Vec<u64> = (0..10).map(|_| round()).collect();
        assert!(allocations.contains(&0), "{allocations:?}");
    }
}
