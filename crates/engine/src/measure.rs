//! How long a plan takes: the only place in the model layer that looks at a clock.

use std::time::{Duration, Instant};

use leat_pauses::pause;

use crate::{Batch, Error, Plan, Scratch};

/// A sample lasts at least this long, so that reading the clock (some 25 ns) does not count. A plan that is faster is run
/// several times in a row and the sample is the mean.
const SAMPLE_MIN: Duration = Duration::from_micros(5);
/// The time all samples of one plan take, unless it is too slow for [`SAMPLES_MIN`].
const BUDGET: Duration = Duration::from_millis(150);
const SAMPLES_MIN: usize = 30;
const SAMPLES_MAX: usize = 10_000;
/// A sample is never more runs than this.
const RUNS_PER_SAMPLE_MAX: u32 = 1 << 16;
/// The most values a batch may hold, in or out: 16 MiB.
const BATCH_VALUES_MAX: usize = 1 << 22;
/// How many different batches take turns, so that branch prediction does not learn one by heart.
const BATCHES: usize = 8;

/// What is measured while a plan is made takes so many runs, unless there is not the time for it.
const RUNS_MAX: u32 = 8;

/// How long one run of a batch takes, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Rows in a batch.
    pub batch: usize,
    /// How many runs were timed.
    pub runs: u32,
    /// The mean.
    pub mean_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// Only one in a hundred took longer. For a plan that takes less than 5 µs this is over means of several runs.
    pub p99_ns: u64,
}

/// How much is done to measure while a plan is made.
struct Effort {
    /// There are at least so many runs, after a first one that is not counted.
    runs_min: u32,
    /// There are no more once they have taken so long.
    budget: Duration,
}

/// The least time of a few runs, in nanoseconds, with pauses between them: an estimate that takes little time.
pub(crate) fn quickest_ns(mut run: impl FnMut()) -> f64 {
    quickest_of([&mut run], Effort { runs_min: 2, budget: Duration::from_micros(500) })[0]
}

/// How many times longer one way takes than another to do the same, with pauses between the runs.
pub(crate) fn times_longer(mut one: impl FnMut(), mut other: impl FnMut()) -> f64 {
    let effort = Effort { runs_min: 3, budget: Duration::from_millis(4) };
    let [one, other] = quickest_of([&mut one, &mut other], effort);
    one / other
}

/// The least time of each way in a few runs, in nanoseconds. They take turns, so that what else the machine does meets all alike.
fn quickest_of<const WAYS: usize>(mut ways: [&mut dyn FnMut(); WAYS], effort: Effort) -> [f64; WAYS] {
    for run in &mut ways {
        run();
        pause();
    }
    let mut quickest = [Duration::MAX; WAYS];
    for turn in 1..=RUNS_MAX {
        for (run, quickest) in ways.iter_mut().zip(&mut quickest) {
            let start = Instant::now();
            run();
            let elapsed = start.elapsed();
            *quickest = elapsed.min(*quickest);
            pause();
        }
        // By the least times: a run that was interrupted must not be the last one for it.
        let spent = quickest.iter().sum::<Duration>() * turn;
        if turn >= effort.runs_min && spent > effort.budget {
            break;
        }
    }
    quickest.map(|time| time.as_nanos() as f64)
}

/// Measures a plan on batches of `batch` rows drawn in turn from `rows` (`[n, features]`, raw, at least one row).
///
/// # Errors
/// When there is nothing to measure, the batch is larger than is measured, `rows` does not hold whole rows, or the plan refuses one of them.
pub fn latency(plan: &dyn Plan, batch: usize, rows: &[f32]) -> Result<Latency, Error> {
    let mut subject = Subject::new(plan, batch, rows)?;
    let mut spent = Duration::ZERO;
    while subject.wants_more(spent) {
        spent += subject.sample()?;
    }
    Ok(subject.latency())
}

/// Measures two plans in turns, so that whatever else the machine does meets both alike.
///
/// # Errors
/// As [`latency`].
pub fn compare(
    before: &dyn Plan,
    after: &dyn Plan,
    batch: usize,
    rows: &[f32],
) -> Result<(Latency, Latency), Error> {
    let mut subjects = [Subject::new(before, batch, rows)?, Subject::new(after, batch, rows)?];
    let mut spent = Duration::ZERO;
    while subjects[0].wants_more(spent / 2) {
        for subject in &mut subjects {
            spent += subject.sample()?;
        }
        // The one that went second now goes first: neither always finds the cache warm from the other.
        for subject in subjects.iter_mut().rev() {
            spent += subject.sample()?;
        }
    }
    let [before, after] = subjects;
    Ok((before.latency(), after.latency()))
}

/// A plan with its batches and the samples taken of it.
struct Subject<'a> {
    plan: &'a dyn Plan,
    batch: usize,
    inputs: Vec<f32>,
    output: Vec<f32>,
    scratch: Scratch,
    turn: usize,
    runs_per_sample: u32,
    /// Mean time of a run, one per sample.
    samples: Vec<Duration>,
}

impl<'a> Subject<'a> {
    /// Builds the batches, warms the plan up and finds how many runs make a sample.
    fn new(plan: &'a dyn Plan, batch: usize, rows: &[f32]) -> Result<Self, Error> {
        let features = plan.features();
        let is_nothing = batch == 0 || features == 0 || rows.is_empty();
        if is_nothing {
            return Err(Error::NothingToMeasure { batch, values: rows.len() });
        }
        if !rows.len().is_multiple_of(features) {
            return Err(Error::InputLength { rows: rows.len() / features, features, found: rows.len() });
        }
        let batch_max = BATCH_VALUES_MAX / features.max(plan.outputs()).max(1);
        if batch > batch_max {
            return Err(Error::BatchTooLarge { batch, batch_max });
        }
        let values = batch * features * BATCHES;
        let mut subject = Self {
            plan,
            batch,
            inputs: rows.iter().copied().cycle().take(values).collect(),
            output: vec![0.0; batch * plan.outputs()],
            scratch: Scratch::default(),
            turn: 0,
            runs_per_sample: 1,
            samples: Vec::with_capacity(SAMPLES_MAX + 2),
        };
        subject.warm_up()?;
        Ok(subject)
    }

    fn warm_up(&mut self) -> Result<(), Error> {
        for _ in 0..BATCHES {
            self.run()?;
        }
        while self.sample()? < SAMPLE_MIN && self.runs_per_sample < RUNS_PER_SAMPLE_MAX {
            self.runs_per_sample *= 2;
        }
        self.samples.clear();
        Ok(())
    }

    fn wants_more(&self, spent: Duration) -> bool {
        let count = self.samples.len();
        count < SAMPLES_MIN || (count < SAMPLES_MAX && spent < BUDGET)
    }

    /// Takes a sample. Gives the time it took.
    fn sample(&mut self) -> Result<Duration, Error> {
        let start = Instant::now();
        for _ in 0..self.runs_per_sample {
            self.run()?;
        }
        let elapsed = start.elapsed();
        self.samples.push(elapsed / self.runs_per_sample);
        Ok(elapsed)
    }

    fn run(&mut self) -> Result<(), Error> {
        let len = self.batch * self.plan.features();
        let input = &self.inputs[self.turn * len..][..len];
        self.turn = (self.turn + 1) % BATCHES;
        let batch = Batch { rows: self.batch, input, output: &mut self.output };
        self.plan.run(batch, &mut self.scratch)
    }

    fn latency(mut self) -> Latency {
        self.samples.sort_unstable();
        let count = self.samples.len();
        let total: Duration = self.samples.iter().sum();
        let mean_ns = total.as_nanos() as u64 / count.max(1) as u64;
        let quantile = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1);
            self.samples.get(rank - 1).map_or(0, |sample| sample.as_nanos() as u64)
        };
        Latency {
            batch: self.batch,
            runs: count as u32 * self.runs_per_sample,
            mean_ns,
            p50_ns: quantile(50),
            p99_ns: quantile(99),
        }
    }
}
