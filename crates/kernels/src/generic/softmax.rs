use super::activation::exp;
use crate::Rows;
use crate::panel::PANEL;
use crate::scalar::softmax::sum_of_lanes;
use crate::simd::{Kernel, Simd};

/// The probabilities of each row of logits.
pub(crate) struct Softmax<'a> {
    pub(crate) logits: Rows<'a, f32>,
    pub(crate) classes: usize,
    pub(crate) probabilities: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (row, probabilities) in self.probabilities.chunks_exact_mut(self.classes).enumerate() {
            softmax(simd, self.logits.row(row, self.classes), probabilities);
        }
    }
}

/// Lanes past the end hold negative infinity, whose exponential adds nothing.
#[inline(always)]
fn softmax<S: Simd>(simd: S, logits: &[f32], probabilities: &mut [f32]) {
    let (chunks, rest) = logits.as_chunks::<PANEL>();
    let (out, out_rest) = probabilities.as_chunks_mut::<PANEL>();
    let mut last = [f32::NEG_INFINITY; PANEL];
    last[..rest.len()].copy_from_slice(rest);
    let last = simd.load(&last);

    let mut max = simd.maximum(last, simd.splat(f32::NEG_INFINITY));
    for chunk in chunks {
        max = simd.maximum(simd.load(chunk), max);
    }
    let max = simd.splat(max_of_lanes(simd, max));
    let mut sums = simd.splat(0.0);
    for (chunk, out) in chunks.iter().zip(&mut *out) {
        let e = exp(simd, simd.sub(simd.load(chunk), max));
        sums = simd.add(sums, e);
        simd.store(e, out);
    }
    let last = exp(simd, simd.sub(last, max));
    let mut lanes = [0.0; PANEL];
    simd.store(simd.add(sums, last), &mut lanes);
    let total = simd.splat(sum_of_lanes(lanes));
    for out in out {
        simd.store(simd.div(simd.load(out), total), out);
    }
    simd.store(simd.div(last, total), &mut lanes);
    out_rest.copy_from_slice(&lanes[..out_rest.len()]);
}

#[inline(always)]
fn max_of_lanes<S: Simd>(simd: S, vector: S::Real) -> f32 {
    let mut lanes = [0.0; PANEL];
    simd.store(vector, &mut lanes);
    lanes.into_iter().fold(f32::NEG_INFINITY, |max, lane| if lane > max { lane } else { max })
}
