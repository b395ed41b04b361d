use crate::panel::PANEL;
use crate::preparation::Parts;
use crate::scalar;
use crate::simd::{Kernel, Simd};

/// Prepares rows; see [`crate::Kernels::prepare`].
pub(crate) struct Prepare<'a> {
    pub(crate) parts: Parts<'a>,
    pub(crate) features: usize,
    pub(crate) raw: &'a [f32],
    pub(crate) prepared: &'a mut [f32],
}

impl Kernel for Prepare<'_> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Result<(), usize> {
        let Self { parts, features, raw, prepared } = self;
        let rows = raw.chunks_exact(features).zip(prepared.chunks_exact_mut(features));
        for (row, (raw, prepared)) in rows.enumerate() {
            prepare(simd, parts, raw, prepared).map_err(|feature| row * features + feature)?;
        }
        Ok(())
    }
}

/// Whole vectors without a branch; when one holds a bad value the definition finds it and says which.
#[inline(always)]
fn prepare<S: Simd>(simd: S, parts: Parts<'_>, raw: &[f32], prepared: &mut [f32]) -> Result<(), usize> {
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

/// Vector `index` of `values`.
#[inline(always)]
fn lanes(values: &[f32], index: usize) -> &[f32; PANEL] {
    &values.as_chunks::<PANEL>().0[index]
}

/// Where the first value stands that is infinite or NaN.
pub(crate) struct FirstNotFinite<'a> {
    pub(crate) values: &'a [f32],
}

impl Kernel for FirstNotFinite<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<usize> {
        let (chunks, rest) = self.values.as_chunks::<PANEL>();
        let mut all_finite = rest.iter().all(|value| value.is_finite());
        for chunk in chunks {
            all_finite &= simd.all_finite(simd.load(chunk));
        }
        if all_finite { None } else { scalar::prepare::first_not_finite(self.values) }
    }
}
