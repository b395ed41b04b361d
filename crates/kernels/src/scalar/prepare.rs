use crate::preparation::Parts;

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
