use crate::panel::PANEL;
use crate::simd::Simd;

/// A weight as it is stored. A layer on real numbers reads it as the `f32` it stands for, so that storing weights in fewer bytes
/// saves memory traffic and changes no answer.
pub trait Weight: Copy + Default + Send + Sync + sealed::Loaded + 'static {
    /// The number it stands for, `scale` being that of its output.
    fn value(self, scale: f32) -> f32;
}

/// The upper half of an `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Weight for f32 {
    fn value(self, _scale: f32) -> f32 {
        self
    }
}

impl Weight for Bf16 {
    fn value(self, _scale: f32) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// A code; `code · scale` is rounded once.
impl Weight for i8 {
    fn value(self, scale: f32) -> f32 {
        f32::from(self) * scale
    }
}

#[allow(
    private_interfaces,
    private_bounds,
    reason = "the trait is sealed: nobody outside this crate can name its vectors"
)]
pub(crate) mod sealed {
    use super::{Bf16, PANEL, Simd, Weight};
    use crate::{DenseReal, Kernels, Output, Panels, Rows};

    type Part<'a, W> = Panels<'a, DenseReal<W>>;

    /// Sixteen weights as a vector; only this crate knows vectors.
    pub trait Loaded: Sized {
        /// Whether there is something to do before weights can be multiplied.
        #[doc(hidden)]
        const IS_COMPACT: bool = true;

        #[doc(hidden)]
        fn load<S: Simd>(simd: S, weights: &[Self; PANEL], scales: S::Real) -> S::Real;

        /// Runs panels of a layer. Being no generic function, it is compiled in this crate and not in every one that calls it.
        #[doc(hidden)]
        fn dense(kernels: Kernels, part: Part<'_, Self>, input: Rows<'_, f32>, output: Output<'_>)
        where
            Self: Weight;
    }

    impl Loaded for f32 {
        const IS_COMPACT: bool = false;

        #[inline(always)]
        fn load<S: Simd>(simd: S, weights: &[Self; PANEL], _scales: S::Real) -> S::Real {
            simd.load(weights)
        }

        fn dense(kernels: Kernels, part: Part<'_, Self>, input: Rows<'_, f32>, output: Output<'_>) {
            kernels.dense_real_of(part, input, output);
        }
    }

    impl Loaded for Bf16 {
        #[inline(always)]
        fn load<S: Simd>(simd: S, weights: &[Self; PANEL], _scales: S::Real) -> S::Real {
            simd.load_bf16(weights)
        }

        fn dense(kernels: Kernels, part: Part<'_, Self>, input: Rows<'_, f32>, output: Output<'_>) {
            kernels.dense_real_of(part, input, output);
        }
    }

    impl Loaded for i8 {
        #[inline(always)]
        fn load<S: Simd>(simd: S, weights: &[Self; PANEL], scales: S::Real) -> S::Real {
            simd.mul(simd.load_codes(weights), scales)
        }

        fn dense(kernels: Kernels, part: Part<'_, Self>, input: Rows<'_, f32>, output: Output<'_>) {
            kernels.dense_real_of(part, input, output);
        }
    }
}
