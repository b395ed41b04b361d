//! What the machine can do at best, on one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use leat_engine::Kernels;
use serde::Serialize;

const BUDGET: Duration = Duration::from_millis(300);
const STEPS: u64 = 200_000;
/// Larger than any cache of one core's share.
const MEMORY_BYTES: usize = 512 << 20;
const PASSES: usize = 3;

/// Products in a nanosecond, and bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Roofline {
    /// Multiply-adds of `f32`; a GFLOP/s is half of it.
    pub(crate) f32_per_ns: f64,
    /// Multiply-adds of 8-bit codes.
    pub(crate) u8_per_ns: f64,
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

fn best(mut work: impl FnMut() -> u64) -> f64 {
    let (began, mut best) = (Instant::now(), 0.0_f64);
    while began.elapsed() < BUDGET {
        let sample = Instant::now();
        let done = work();
        best = best.max(done as f64 / sample.elapsed().as_nanos() as f64);
    }
    best
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
