use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::x86_64::avx2::Avx2;
use crate::{DenseF32, DenseU8, Output, Preparation, Quantization, Rows, scalar};

/// The kernels of one instruction set. A small copyable value: choose once, call many times.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(Isa);

#[derive(Clone, Copy, Debug)]
enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Kernels {
    /// The fastest kernels this processor can run; looked up once per process.
    pub fn detect() -> Self {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().pop().unwrap_or_else(Self::scalar))
    }

    /// The definition: runs everywhere, slowly.
    pub fn scalar() -> Self {
        Self(Isa::Scalar)
    }

    /// Every set of kernels this processor can run, slowest first.
    pub fn available() -> Vec<Self> {
        let mut available = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        available.extend(Avx2::detect().map(|token| Self(Isa::Avx2(token))));
        available
    }

    /// The name of the instruction set: `scalar` or `avx2`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
        }
    }

    /// Runs a dense layer on rows of `f32`.
    ///
    /// # Panics
    /// When the input rows are shorter than the layer's inputs or the output is shorter than `count · stride`.
    pub fn dense_f32(self, layer: &DenseF32, input: Rows<'_, f32>, mut output: Output<'_>) {
        layer.check(&input, &output);
        match self.0 {
            Isa::Scalar => scalar::dense_f32::dense_f32(layer, &input, &mut output),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.dense_f32(layer, &input, &mut output),
        }
    }

    /// Runs a dense layer on rows of codes.
    ///
    /// # Panics
    /// When the input rows are shorter than the layer's padded inputs or the output is shorter than `count · stride`.
    pub fn dense_u8(self, layer: &DenseU8, input: Rows<'_, u8>, mut output: Output<'_>) {
        layer.check(&input, &output);
        match self.0 {
            Isa::Scalar => scalar::dense_u8::dense_u8(layer, &input, &mut output),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.dense_u8(layer, &input, &mut output),
        }
    }

    /// The code of each value; see [`Quantization`].
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn quantize(self, values: &[f32], quantization: Quantization, codes: &mut [u8]) {
        assert!(values.len() == codes.len(), "one code per value");
        match self.0 {
            Isa::Scalar => scalar::quantize::quantize(values, quantization, codes),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.quantize(values, quantization, codes),
        }
    }

    /// `exp(x - max) / Σ exp(x - max)` over one row of logits. An infinite or NaN logit makes every probability NaN,
    /// save that negative infinity beside a finite logit has probability zero.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn softmax(self, logits: &[f32], probabilities: &mut [f32]) {
        assert!(logits.len() == probabilities.len(), "one probability per logit");
        match self.0 {
            Isa::Scalar => scalar::softmax::softmax(logits, probabilities),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.softmax(logits, probabilities),
        }
    }

    /// Prepares one raw row for the first layer. Fails with the index of the first feature that is infinite, or NaN and
    /// not imputed; what `prepared` holds is then unspecified.
    ///
    /// # Errors
    /// The index of the offending feature.
    ///
    /// # Panics
    /// When the lengths of the rows or of the preparation differ.
    pub fn prepare(self, preparation: &Preparation, raw: &[f32], prepared: &mut [f32]) -> Result<(), usize> {
        let parts = preparation.parts();
        parts.check(raw.len());
        assert!(raw.len() == prepared.len(), "one prepared value per raw value");
        match self.0 {
            Isa::Scalar => scalar::prepare::prepare(parts, raw, prepared),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.prepare(parts, raw, prepared),
        }
    }
}
