use crate::panel::{BLOCK, PANEL};
use crate::simd::{Kernel, Simd};

/// As many independent chains as hide the latency of a fused multiply-add on every processor we know.
const CHAINS: usize = 12;

/// Multiplies and adds `f32` without touching memory.
pub(crate) struct PeakF32 {
    pub(crate) steps: u64,
}

impl Kernel for PeakF32 {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (a, b) = (simd.splat(std::hint::black_box(0.5)), simd.splat(std::hint::black_box(1.0)));
        let mut sums = [b; CHAINS];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = simd.fma(*sum, a, b);
            }
        }
        let mut total = [0.0; PANEL];
        let all = sums.into_iter().fold(b, |all, sum| simd.add(all, sum));
        simd.store(all, &mut total);
        total.iter().sum()
    }
}

/// Multiplies and adds 8-bit codes without touching memory.
pub(crate) struct PeakU8 {
    pub(crate) steps: u64,
}

impl Kernel for PeakU8 {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let weights = simd.weights(&std::hint::black_box([1; BLOCK]), 0);
        let codes = simd.codes(std::hint::black_box([1; 4]), 0);
        let mut sums = [simd.zero(); CHAINS];
        for _ in 0..self.steps {
            for _ in 0..S::PARTS {
                for sum in &mut sums {
                    *sum = simd.dot(*sum, weights, codes);
                }
            }
        }
        let mut total = [0.0; PANEL];
        let all = sums.into_iter().fold(simd.zero(), |all, sum| simd.sub_integer(all, sum));
        simd.store(simd.to_real(all), &mut total);
        total.iter().sum()
    }
}

/// How many products one step of either takes.
pub(crate) const F32_PER_STEP: u64 = (CHAINS * PANEL) as u64;
/// See `F32_PER_STEP`.
pub(crate) const U8_PER_STEP: u64 = (CHAINS * BLOCK) as u64;
