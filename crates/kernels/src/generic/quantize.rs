use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};
use crate::{Quantization, scalar};

/// The code of each value.
pub(crate) struct Quantize<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) quantization: Quantization,
    pub(crate) codes: &'a mut [u8],
}

impl Kernel for Quantize<'_> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Result<(), usize> {
        let quantizer = Quantizer::new(simd, self.quantization);
        let (values, last_values) = self.values.as_chunks::<PANEL>();
        let (codes, last_codes) = self.codes.as_chunks_mut::<PANEL>();
        let mut all_finite = true;
        for (values, codes) in values.iter().zip(codes) {
            let values = simd.load(values);
            all_finite &= simd.all_finite(values);
            quantizer.store(simd, values, codes);
        }
        let last = scalar::quantize::quantize(last_values, self.quantization, last_codes);
        if all_finite && last.is_ok() {
            return Ok(());
        }
        scalar::prepare::first_not_finite(self.values).map_or(Ok(()), Err)
    }
}

/// A quantization spread over lanes.
pub(super) struct Quantizer<S: Simd> {
    scale: S::Real,
    low: S::Real,
    high: S::Real,
    zero_point: u8,
}

impl<S: Simd> Quantizer<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, quantization: Quantization) -> Self {
        let (low, high) = quantization.limits();
        let scale = simd.splat(quantization.scale);
        Self { scale, low: simd.splat(low), high: simd.splat(high), zero_point: quantization.zero_point }
    }

    /// Stores the codes of sixteen values. A huge value saturates, and NaN takes the lowest code.
    #[inline(always)]
    pub(super) fn store(&self, simd: S, values: S::Real, codes: &mut [u8; PANEL]) {
        let step = simd.round(simd.div(values, self.scale));
        let step = simd.minimum(simd.maximum(step, self.low), self.high);
        simd.store_codes(step, self.zero_point, codes);
    }
}
