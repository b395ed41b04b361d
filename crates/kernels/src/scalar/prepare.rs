use crate::preparation::Parts;

/// Where the first value stands that is infinite or NaN.
pub(crate) fn first_not_finite(values: &[f32]) -> Option<usize> {
    values.iter().position(|value| !value.is_finite())
}

/// Prepares rows, one after the other. Fails with the position of the first value that is infinite, or NaN and not imputed.
pub(crate) fn prepare_rows(
    parts: Parts<'_>,
    features: usize,
    raw: &[f32],
    prepared: &mut [f32],
) -> Result<(), usize> {
    let rows = raw.chunks_exact(features).zip(prepared.chunks_exact_mut(features));
    for (row, (raw, prepared)) in rows.enumerate() {
        prepare(parts, raw, prepared).map_err(|feature| row * features + feature)?;
    }
    Ok(())
}

/// Prepares one row. Fails with the index of the first feature that is infinite, or NaN and not imputed.
pub(crate) fn prepare(parts: Parts<'_>, raw: &[f32], prepared: &mut [f32]) -> Result<(), usize> {
    for (feature, (out, &x)) in prepared.iter_mut().zip(raw).enumerate() {
        let x = match parts.impute {
            Some(values) if x.is_nan() => values[feature],
            _ => x,
        };
        if !x.is_finite() {
            return Err(feature);
        }
        *out = match parts.standardise {
            Some((mean, scale)) => (x - mean[feature]) / scale[feature],
            None => x,
        };
    }
    Ok(())
}
