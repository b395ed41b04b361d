//! AVX2 with FMA: eight lanes, sixteen registers. A lane is an output, so that no sum ever crosses lanes.

use crate::preparation::Parts;
use crate::{DenseF32, DenseU8, Output, Quantization, Rows};

mod activation;
mod dense_f32;
mod dense_u8;
mod epilogue;
mod prepare;
mod quantize;
mod softmax;
mod tile;
mod vector;

/// How many `f32` a vector holds.
const LANES: usize = 8;

/// How many vectors a panel takes.
const VECTORS: usize = crate::panel::PANEL / LANES;

/// Proof that this processor has AVX2 and FMA: only `detect` makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has_both.then_some(Self(()))
    }

    pub(crate) fn dense_f32(self, layer: &DenseF32, input: &Rows<'_, f32>, output: &mut Output<'_>) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { dense_f32::dense_f32(layer, input, output) }
    }

    pub(crate) fn dense_u8(self, layer: &DenseU8, input: &Rows<'_, u8>, output: &mut Output<'_>) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { dense_u8::dense_u8(layer, input, output) }
    }

    pub(crate) fn quantize(self, values: &[f32], quantization: Quantization, codes: &mut [u8]) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { quantize::quantize(values, quantization, codes) }
    }

    pub(crate) fn softmax(self, logits: &[f32], probabilities: &mut [f32]) {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { softmax::softmax(logits, probabilities) }
    }

    pub(crate) fn prepare(self, parts: Parts<'_>, raw: &[f32], prepared: &mut [f32]) -> Result<(), usize> {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { prepare::prepare(parts, raw, prepared) }
    }
}
