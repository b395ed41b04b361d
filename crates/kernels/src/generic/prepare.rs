use crate::panel::PANEL;
use crate::preparation::Parts;
use crate::scalar;
use crate::simd::{Kernel, Simd};

/// Prepares one row; see [`crate::Kernels::prepare`].
pub(crate) struct Prepare<'a> {
    pub(crate) parts: Parts<'a>,
    pub(crate) raw: &'a [f32],
    pub(crate) prepared: &'a mut [f32],
}

impl Kernel for Prepare<'_> {
    type Output = Result<(), usize>;

    /// Whole vectors without a branch; when one holds a bad value the definition finds it and says which.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Result<(), usize> {
        let Self { parts, raw, prepared } = self;
        let (chunks, rest) = raw.as_chunks::<PANEL>();
        let (out, out_rest) = prepared.as_chunks_mut::<PANEL>();
        let mut all_finite = true;
        for (index, (chunk, out)) in chunks.iter().zip(out).enumerate() {
            let mut x = simd.load(chunk);
            if let Some(values) = parts.impute {
                x = simd.unless_nan(x, simd.load(lanes(values, index)));
            }
            all_finite &= simd.all_finite(x);
            if let Some((mean, scale)) = parts.standardise {
                let centred = simd.sub(x, simd.load(lanes(mean, index)));
                x = simd.div(centred, simd.load(lanes(scale, index)));
            }
            simd.store(x, out);
        }
        if !all_finite {
            return scalar::prepare::prepare(parts, raw, prepared);
        }
        let start = chunks.len() * PANEL;
        scalar::prepare::prepare(parts.tail(start), rest, out_rest).map_err(|feature| start + feature)
    }
}

/// Vector `index` of `values`.
#[inline(always)]
fn lanes(values: &[f32], index: usize) -> &[f32; PANEL] {
    &values.as_chunks::<PANEL>().0[index]
}
