use crate::Calibration;

/// The largest code of symmetric quantization. `-128` is left out, so that negation stays exact.
const CODE_MAX: f32 = 127.0;

/// Weights as codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// One per weight.
    pub codes: Vec<i8>,
    /// One per group of weights.
    pub scales: Vec<f32>,
    /// How many weights lay beyond the end of the code range.
    pub saturated: u64,
}

/// Symmetric `i8` codes for each run of `group` weights: `scale = T / 127`, `code = clamp(round_half_even(w / scale), -127, 127)`
/// with `T` chosen by `calibration` from the weights of the group.
pub fn symmetric(weights: &[f32], group: usize, calibration: Calibration) -> Codes {
    let mut result = Codes { codes: Vec::with_capacity(weights.len()), scales: Vec::new(), saturated: 0 };
    for values in weights.chunks(group.max(1)) {
        let scale = scale_for(values, calibration);
        for &value in values {
            let code = (value / scale).round_ties_even();
            result.saturated += u64::from(code.abs() > CODE_MAX);
            result.codes.push(code.clamp(-CODE_MAX, CODE_MAX) as i8);
        }
        result.scales.push(scale);
    }
    result
}

/// `code = round(w · Q)`, half away from zero, saturated to `-128..=127`; one scale `1 / Q`.
pub fn by_q(weights: &[f32], q: f32) -> Codes {
    let mut saturated = 0;
    let codes = weights.iter().map(|&weight| {
        let rounded = (weight * q).round();
        saturated += u64::from(!(f32::from(i8::MIN)..=f32::from(i8::MAX)).contains(&rounded));
        rounded as i8
    });
    let codes = codes.collect();
    Codes { codes, scales: vec![1.0 / q], saturated }
}

/// The scale of one group of weights; 1 where every weight is (almost) zero.
fn scale_for(values: &[f32], calibration: Calibration) -> f32 {
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let range = match calibration {
        Calibration::MinMax => largest,
        Calibration::Percentile(percentile) => nearest_rank(values, percentile),
        Calibration::Mse => least_squares(values, largest),
    };
    let scale = range / CODE_MAX;
    if scale < f32::MIN_POSITIVE { 1.0 } else { scale }
}

/// The smallest magnitude that at least `percentile` per cent of the weights that are not zero do not exceed; 0 when all are. Zeros
/// do not count, because they are exact at any scale: otherwise a pruned channel would lose the few weights it has.
fn nearest_rank(values: &[f32], percentile: f64) -> f32 {
    let mut magnitudes: Vec<f32> =
        values.iter().map(|value| value.abs()).filter(|&magnitude| magnitude > 0.0).collect();
    magnitudes.sort_by(f32::total_cmp);
    let rank = (percentile / 100.0 * magnitudes.len() as f64).ceil() as usize;
    magnitudes.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The range among `1.00, 0.99 … 0.40` of the largest magnitude that gives the least squared error; the widest of equals.
fn least_squares(values: &[f32], largest: f32) -> f32 {
    let mut best = (f64::INFINITY, largest);
    for percent in (40..=100_u8).rev() {
        let range = largest * f32::from(percent) / 100.0;
        let error = squared_error(values, range / CODE_MAX);
        if error < best.0 {
            best = (error, range);
        }
    }
    best.1
}

fn squared_error(values: &[f32], scale: f32) -> f64 {
    let scale = if scale < f32::MIN_POSITIVE { 1.0 } else { scale };
    let errors = values.iter().map(|&value| {
        let restored = (value / scale).round_ties_even().clamp(-CODE_MAX, CODE_MAX) * scale;
        f64::from(value - restored).powi(2)
    });
    errors.sum()
}

#[cfg(test)]
mod tests;
