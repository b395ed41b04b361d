//! What the machine can do at best, on one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use leat_engine::Kernels;
use serde::Serialize;

use crate::Error;
use crate::contender::Contender;
use crate::models::Kind;

const BUDGET: Duration = Duration::from_millis(300);
const STEPS: u64 = 200_000;
/// Some tens of microseconds.
const PEAK_STEPS: u64 = 10_000;
/// Some seconds.
const TIMES_MAX: u128 = 100_000;
/// Larger than any cache of one core's share.
const MEMORY_BYTES: usize = 512 << 20;
const PASSES: usize = 3;

/// Products in a nanosecond, and bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Roofline {
    /// Multiply-adds of `f32`; a GFLOP/s is half of it. None where no peak is known.
    pub(crate) f32_per_ns: Option<f64>,
    /// Multiply-adds of 8-bit codes, likewise.
    pub(crate) u8_per_ns: Option<f64>,
    /// Bytes read from memory.
    pub(crate) bytes_per_ns: f64,
}

impl Roofline {
    pub(crate) fn measure() -> Self {
        let kernels = Kernels::detect();
        Self {
            f32_per_ns: best(|| kernels.peak_f32(STEPS)),
            u8_per_ns: best(|| kernels.peak_u8(STEPS)),
            bytes_per_ns: bandwidth(),
        }
    }
}

/// A run that does nothing but multiply and add in registers. It takes its turns among the contenders of a cell and as long as one of
/// theirs, so that the peak is that of the same moments: a shorter run would rarely meet an interruption, and a longer one always does.
pub(crate) struct Peak {
    kernels: Kernels,
    is_integer: bool,
    steps: u64,
    multiply_adds: u64,
}

impl Peak {
    /// The peak of the arithmetic that a kind of model runs on, in runs that last about so long. The definition of the kernels has none.
    pub(crate) fn of(kind: Kind, duration: Duration) -> Option<Self> {
        let (kernels, is_integer) = (Kernels::detect(), kind.is_integer());
        let short = Self { kernels, is_integer, steps: PEAK_STEPS, multiply_adds: 0 };
        let multiply_adds = short.multiply();
        let began = Instant::now();
        short.multiply();
        let times = (duration.as_nanos() / began.elapsed().as_nanos().max(1)).clamp(1, TIMES_MAX) as u64;
        let (steps, multiply_adds) = (PEAK_STEPS * times, multiply_adds * times);
        (multiply_adds > 0).then_some(Self { steps, multiply_adds, ..short })
    }

    /// How many multiply-adds one run does, at least one.
    pub(crate) fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }

    fn multiply(&self) -> u64 {
        if self.is_integer { self.kernels.peak_u8(self.steps) } else { self.kernels.peak_f32(self.steps) }
    }
}

impl Contender for Peak {
    fn run(&mut self) -> Result<(), Error> {
        self.multiply();
        Ok(())
    }

    fn output(&mut self) -> Result<Vec<f32>, Error> {
        Ok(Vec::new())
    }
}

fn best(mut work: impl FnMut() -> u64) -> Option<f64> {
    let (began, mut best) = (Instant::now(), 0.0_f64);
    while began.elapsed() < BUDGET {
        let sample = Instant::now();
        let done = work();
        best = best.max(done as f64 / sample.elapsed().as_nanos() as f64);
    }
    (best > 0.0).then_some(best)
}

fn bandwidth() -> f64 {
    let memory = vec![1_u64; MEMORY_BYTES / size_of::<u64>()];
    let mut best = 0.0_f64;
    for _ in 0..PASSES {
        let sample = Instant::now();
        // Several sums, so that none waits for the one before.
        let mut sums = [0_u64; 32];
        for chunk in memory.as_chunks::<32>().0 {
            for (sum, &value) in sums.iter_mut().zip(chunk) {
                *sum ^= value;
            }
        }
        black_box(sums);
        best = best.max(MEMORY_BYTES as f64 / sample.elapsed().as_nanos() as f64);
    }
    best
}
