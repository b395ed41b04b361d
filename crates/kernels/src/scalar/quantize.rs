use super::prepare::first_not_finite;
use crate::Quantization;

/// The codes of `values`, one each. Fails with the position of the first value that is infinite or NaN.
pub(crate) fn quantize(values: &[f32], quantization: Quantization, codes: &mut [u8]) -> Result<(), usize> {
    for (code, &value) in codes.iter_mut().zip(values) {
        *code = quantize_one(value, quantization);
    }
    first_not_finite(values).map_or(Ok(()), Err)
}

/// Limits before converting, so that a huge value saturates and NaN takes the lowest code.
pub(crate) fn quantize_one(value: f32, quantization: Quantization) -> u8 {
    let (low, high) = quantization.limits();
    let step = (value / quantization.scale).round_ties_even();
    let step = if step > low { step } else { low };
    let step = if step < high { step } else { high };
    (step as i32 + i32::from(quantization.zero_point)) as u8
}
