use std::hint::black_box;

use super::tiling::STEPS;
use crate::panel::{BLOCK, CODES_PER_STEP, PANEL};
use crate::simd::{Kernel, Simd};

/// Multiplies and adds `f32` without touching memory. Gives how many products that were.
pub(crate) struct PeakF32 {
    pub(crate) steps: u64,
}

impl Kernel for PeakF32 {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        if S::SUMS >= 24 {
            multiply_f32::<S, 12>(simd, self.steps)
        } else {
            multiply_f32::<S, 5>(simd, self.steps)
        }
    }
}

/// Multiplies and adds 8-bit codes without touching memory. Gives how many products that were.
pub(crate) struct PeakU8 {
    pub(crate) steps: u64,
}

impl Kernel for PeakU8 {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        if S::SUMS >= 24 {
            multiply_u8::<S, 12>(simd, self.steps)
        } else {
            multiply_u8::<S, 4>(simd, self.steps)
        }
    }
}

/// As many independent chains as hide the latency of each and fit the registers.
#[inline(always)]
fn multiply_f32<S: Simd, const CHAINS: usize>(simd: S, steps: u64) -> u64 {
    let (a, b) = (simd.splat(black_box(0.5)), simd.splat(black_box(1.0)));
    let mut sums = [b; CHAINS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = simd.fma(*sum, a, b);
        }
    }
    let mut lanes = [[0.0; PANEL]; CHAINS];
    for (sum, lanes) in sums.into_iter().zip(&mut lanes) {
        simd.store(sum, lanes);
    }
    black_box(lanes);
    steps * (CHAINS * PANEL) as u64
}

/// Codes change from step to step and weights from chain to chain: where a product is apart from its sum, one of the same factors would
/// be computed once.
#[inline(always)]
fn multiply_u8<S: Simd, const CHAINS: usize>(simd: S, steps: u64) -> u64 {
    let (blocks, codes) = (black_box([[1; BLOCK]; CHAINS]), black_box([[1; CODES_PER_STEP]; STEPS]));
    let weights = blocks.each_ref().map(|block| simd.weights(block, 0));
    let mut sums = [simd.zero(); CHAINS];
    for step in 0..steps {
        let four = codes[step as usize % STEPS];
        for part in 0..S::PARTS {
            let codes = simd.codes(four, part);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = simd.dot(*sum, weights, codes);
            }
        }
    }
    let mut lanes = [[0.0; PANEL]; CHAINS];
    for (sum, lanes) in sums.into_iter().zip(&mut lanes) {
        simd.store(simd.to_real(sum), lanes);
    }
    black_box(lanes);
    steps * (CHAINS * BLOCK) as u64
}
