use std::ops::Range;
use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use crate::aarch64::neon::Neon;
use crate::generic::{
    FirstNotFinite, PeakF32, PeakU8, Prepare, Quantize, RunDenseReal, RunDenseU8, RunSparseF32, RunSparseU8,
    Softmax,
};
use crate::integer_terms::{IntegerLayout, pairs_fit};
use crate::simd::Simd;
#[cfg(target_arch = "x86_64")]
use crate::x86_64::{
    amx::{self, Amx},
    avx2::{self, Avx2},
    avx512::Avx512,
};
use crate::{
    DenseReal, DenseU8, Output, Panels, Preparation, Quantization, Rows, SparseF32, SparseU8, Weight, scalar,
};

/// What the process uses.
static CHOSEN: OnceLock<Kernels> = OnceLock::new();

/// The kernels of one instruction set. A small copyable value: choose once, call many times.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(Isa);

#[derive(Clone, Copy, Debug)]
enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// Runs `$scalar`, or `$kernel` compiled for the instruction set.
macro_rules! dispatch {
    ($isa:expr, $scalar:expr, $kernel:expr) => {
        match $isa {
            Isa::Scalar => $scalar,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.vectorize($kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(token) => token.vectorize($kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Amx(token) => token.avx512().vectorize($kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => token.vectorize($kernel),
        }
    };
}

impl Kernels {
    /// The kernels that this process uses: those that were chosen, else the fastest ones that this processor can run.
    pub fn detect() -> Self {
        *CHOSEN.get_or_init(Self::fastest)
    }

    /// Makes [`Kernels::detect`] give the set of this name from now on. Answers are the same bits with every set.
    ///
    /// # Errors
    /// What there is to choose from when this processor does not run the set, or which set is in use already.
    pub fn choose(name: &str) -> Result<(), String> {
        let available = Self::available();
        let found = available.iter().find(|kernels| kernels.name() == name).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|kernels| kernels.name()).collect();
            format!("this processor has no instruction set {name:?}, only {}", names.join(", "))
        })?;
        let in_use = CHOSEN.get_or_init(|| *found);
        if in_use.name() == name { Ok(()) } else { Err(format!("{} is in use already", in_use.name())) }
    }

    /// The definition: runs everywhere, slowly.
    pub fn scalar() -> Self {
        Self(Isa::Scalar)
    }

    /// Kernels that use tiles, also where a test emulates them.
    #[cfg(all(test, target_arch = "x86_64", target_os = "linux", not(miri)))]
    pub(crate) fn with_tiles(token: Amx) -> Self {
        Self(Isa::Amx(token))
    }

    /// Every set of kernels this processor can run, slowest first.
    pub fn available() -> Vec<Self> {
        let mut available = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        available.extend(Avx2::detect().map(|token| Self(Isa::Avx2(token))));
        #[cfg(target_arch = "x86_64")]
        available.extend(Avx512::detect().map(|token| Self(Isa::Avx512(token))));
        #[cfg(target_arch = "x86_64")]
        available.extend(Amx::detect().map(|token| Self(Isa::Amx(token))));
        #[cfg(target_arch = "aarch64")]
        available.extend(Neon::detect().map(|token| Self(Isa::Neon(token))));
        available
    }

    /// The name of the instruction set: `scalar`, `avx2`, `avx512`, `amx` or `neon`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Amx(_) => "amx",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => "neon",
        }
    }

    /// Runs a dense layer on rows of `f32`, however its weights are stored.
    ///
    /// # Panics
    /// When the input rows are shorter than the layer's inputs or the output is shorter than `count · stride`.
    pub fn dense_real<W: Weight>(self, layer: &DenseReal<W>, input: Rows<'_, f32>, output: Output<'_>) {
        self.dense_real_panels(Panels { layer, range: 0..layer.panels() }, input, output);
    }

    /// Computes the outputs of some panels of a dense layer alone, sixteen of each, with the bits and at the places of
    /// [`Kernels::dense_real`]: for threads that share a layer. The places of the others are left as they are.
    ///
    /// # Panics
    /// As [`Kernels::dense_real`], and when the layer has no such panels.
    pub fn dense_real_panels<W: Weight>(
        self,
        part: Panels<'_, DenseReal<W>>,
        input: Rows<'_, f32>,
        output: Output<'_>,
    ) {
        W::dense(self, part, input, output);
    }

    pub(crate) fn dense_real_of<W: Weight>(
        self,
        Panels { layer, range: panels }: Panels<'_, DenseReal<W>>,
        input: Rows<'_, f32>,
        mut output: Output<'_>,
    ) {
        check_panels(&panels, layer.panels());
        layer.check(&input, &output);
        let (input, output) = (&input, &mut output);
        dispatch!(
            self.0,
            scalar::dense_real::dense_real(layer, panels, input, output),
            RunDenseReal { layer, panels, input, output }
        );
    }

    /// Runs a layer with few weights on rows of `f32`. Worth it from sixteen rows on.
    ///
    /// # Panics
    /// When the input rows are shorter than the layer's inputs, the output is shorter than `count · stride`, or the workspace is shorter
    /// than the layer's.
    pub fn sparse_f32(
        self,
        layer: &SparseF32,
        input: Rows<'_, f32>,
        mut output: Output<'_>,
        workspace: &mut [f32],
    ) {
        layer.check(&input, &output, workspace);
        let (input, output) = (&input, &mut output);
        dispatch!(
            self.0,
            scalar::sparse_f32::sparse_f32(layer, input, output),
            RunSparseF32 { layer, input, output, workspace }
        );
    }

    /// Runs a dense layer on rows of codes.
    ///
    /// # Panics
    /// When the layer was packed for kernels that want another order of weights, the input rows are shorter than its padded inputs,
    /// the output is shorter than `count · stride`, or the workspace is shorter than the layer's for so many rows.
    pub fn dense_u8(self, layer: &DenseU8, input: Rows<'_, u8>, output: Output<'_>, workspace: &mut [u8]) {
        self.dense_u8_panels(Panels { layer, range: 0..layer.panels() }, input, output, workspace);
    }

    /// Computes the outputs of some panels of a dense layer alone, as [`Kernels::dense_real_panels`] does.
    ///
    /// # Panics
    /// As [`Kernels::dense_u8`], and when the layer has no such panels.
    pub fn dense_u8_panels(
        self,
        Panels { layer, range: panels }: Panels<'_, DenseU8>,
        input: Rows<'_, u8>,
        mut output: Output<'_>,
        workspace: &mut [u8],
    ) {
        check_panels(&panels, layer.panels());
        layer.check(self, &input, &output, workspace);
        let (input, output) = (&input, &mut output);
        #[cfg(target_arch = "x86_64")]
        match self.0 {
            Isa::Avx2(token) => {
                return avx2::dense_u8(token, RunDenseU8 { layer, panels, input, output }, workspace);
            }
            Isa::Amx(token) => return amx::dense_u8(token, RunDenseU8 { layer, panels, input, output }),
            _ => {}
        }
        dispatch!(
            self.0,
            scalar::dense_u8::dense_u8(layer, panels, input, output),
            RunDenseU8 { layer, panels, input, output }
        );
    }

    /// Runs an integer layer with few weights on rows of codes; the bits are those of the dense one. Worth it from sixteen rows on.
    ///
    /// # Panics
    /// As [`Kernels::dense_u8`], or when the workspace is shorter than the layer's.
    pub fn sparse_u8(
        self,
        layer: &SparseU8,
        input: Rows<'_, u8>,
        mut output: Output<'_>,
        workspace: &mut [u8],
    ) {
        layer.check(self, &input, &output, workspace);
        let (input, output) = (&input, &mut output);
        dispatch!(
            self.0,
            scalar::sparse_u8::sparse_u8(layer, input, output),
            RunSparseU8 { layer, input, output, workspace }
        );
    }

    /// The code of each value; see [`Quantization`]. What is not finite has a code too.
    ///
    /// # Errors
    /// The position of the first value that is infinite or NaN, for which a code would be a guess.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn quantize(self, values: &[f32], quantization: Quantization, codes: &mut [u8]) -> Result<(), usize> {
        assert!(values.len() == codes.len(), "one code per value");
        dispatch!(
            self.0,
            scalar::quantize::quantize(values, quantization, codes),
            Quantize { values, quantization, codes }
        )
    }

    /// `exp(x - max) / Σ exp(x - max)` over each row of logits; `probabilities` is `[rows, classes]`. An infinite or NaN logit makes
    /// every probability of its row NaN, save that negative infinity beside a finite logit has probability zero.
    ///
    /// A probability is within `5 + ⌈classes / 16⌉` units in the last place of the exact one for the differences `x - max` as they are
    /// rounded.
    ///
    /// # Panics
    /// When there is no class, or the lengths do not fit.
    pub fn softmax(self, logits: Rows<'_, f32>, classes: usize, probabilities: &mut [f32]) {
        assert!(classes > 0 && logits.holds(classes), "rows of logits are shorter than the classes");
        assert!(logits.count.checked_mul(classes) == Some(probabilities.len()), "one probability per logit");
        dispatch!(
            self.0,
            scalar::softmax::softmax_rows(&logits, classes, probabilities),
            Softmax { logits, classes, probabilities }
        );
    }

    /// Prepares raw rows of `features` values for the first layer. What `prepared` holds after a failure is unspecified.
    ///
    /// # Errors
    /// The position of the first value that is infinite, or NaN and not imputed, counted over all rows.
    ///
    /// # Panics
    /// When the lengths of the rows or of the preparation differ.
    pub fn prepare(
        self,
        preparation: &Preparation,
        features: usize,
        raw: &[f32],
        prepared: &mut [f32],
    ) -> Result<(), usize> {
        let parts = preparation.parts();
        parts.check(features);
        assert!(features > 0 && raw.len().is_multiple_of(features), "whole rows");
        assert!(raw.len() == prepared.len(), "one prepared value per raw value");
        dispatch!(
            self.0,
            scalar::prepare::prepare_rows(parts, features, raw, prepared),
            Prepare { parts, features, raw, prepared }
        )
    }

    /// The position of the first value that is infinite or NaN.
    pub fn first_not_finite(self, values: &[f32]) -> Option<usize> {
        dispatch!(self.0, scalar::prepare::first_not_finite(values), FirstNotFinite { values })
    }

    /// Multiplies and adds `f32` in registers, `steps` times, as fast as the instruction set can: what a dense layer could reach at
    /// best. Gives how many products that were, none for the definition.
    pub fn peak_f32(self, steps: u64) -> u64 {
        dispatch!(self.0, 0, PeakF32 { steps })
    }

    /// As [`Kernels::peak_f32`], with 8-bit codes.
    pub fn peak_u8(self, steps: u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let Isa::Amx(token) = self.0 {
            return token.peak_u8(steps);
        }
        dispatch!(self.0, 0, PeakU8 { steps })
    }

    /// How the weights of a dense layer of `codes`, `[outputs, inputs]`, have to lie.
    pub(crate) fn dense_integer_layout(self, codes: &[i8], inputs: usize) -> IntegerLayout {
        let fitting = self.fitting_layout().filter(|_| pairs_fit(codes, inputs));
        fitting.unwrap_or_else(|| self.integer_layout())
    }

    /// How the weights of a dense integer layer have to lie whose pairs fit, where that makes a difference.
    pub(crate) fn fitting_layout(self) -> Option<IntegerLayout> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => Some(IntegerLayout {
                group: avx2::FITTING_GROUP,
                pairs_fit: true,
                wide_rows_min: None,
                ..self.integer_layout()
            }),
            _ => None,
        }
    }

    /// How the weights of an integer layer have to lie when nothing is known about them.
    pub(crate) fn integer_layout(self) -> IntegerLayout {
        fn of<S: Simd>(_: S) -> IntegerLayout {
            IntegerLayout { group: S::GROUP, code_offset: S::CODE_OFFSET, ..IntegerLayout::default() }
        }
        match self.0 {
            Isa::Scalar => IntegerLayout::default(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => IntegerLayout { wide_rows_min: Some(avx2::WIDE_ROWS_MIN), ..of(token) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(token) => of(token),
            #[cfg(target_arch = "x86_64")]
            Isa::Amx(token) => IntegerLayout { step: amx::CODES, ..of(token.avx512()) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => of(token),
        }
    }

    fn fastest() -> Self {
        Self::available().pop().unwrap_or_else(Self::scalar)
    }
}

fn check_panels(panels: &Range<usize>, count: usize) {
    assert!(panels.start <= panels.end && panels.end <= count, "the layer has these panels");
}
