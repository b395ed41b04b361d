use crate::Calibration;

/// The largest code of symmetric quantization. `-128` is left out, so that negation stays exact.
const CODE_MAX: f32 = 127.0;

/// The most that two neighbouring codes of one sign may sum to with a reduced range: `255 · 128` fits 16 bits.
const PAIR_MAX: f32 = 128.0;

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

/// How weights become symmetric `i8` codes.
#[derive(Clone, Copy, Debug)]
pub struct Symmetric {
    /// How many weights an output has.
    pub inputs: usize,
    /// One scale for each output instead of one for all.
    pub per_channel: bool,
    /// How the range that the codes span is chosen.
    pub calibration: Calibration,
    /// Keep neighbours of one sign from summing to more than 128; see [`crate::Quantize::Int8`].
    pub reduce_range: bool,
}

impl Symmetric {
    /// `scale = T / 127`, `code = clamp(round_half_even(w / scale), -127, 127)`, with `T` chosen from the weights that share a scale.
    /// `weights` are `[outputs, inputs]`.
    pub fn codes(&self, weights: &[f32]) -> Codes {
        let mut result = Codes { codes: Vec::with_capacity(weights.len()), scales: Vec::new(), saturated: 0 };
        let group = if self.per_channel { self.inputs } else { weights.len() };
        for values in weights.chunks(group.max(1)) {
            let scale = self.scale_for(values);
            let codes = self.rounded(values, scale);
            let gave_way = |(value, code): &(&f32, &f32)| (*value / scale).round_ties_even() != **code;
            result.saturated += values.iter().zip(&codes).filter(gave_way).count() as u64;
            result.codes.extend(codes.iter().map(|&code| code as i8));
            result.scales.push(scale);
        }
        result
    }

    /// The code of each weight, as a real number.
    fn rounded(&self, values: &[f32], scale: f32) -> Vec<f32> {
        let code = |value: &f32| (value / scale).round_ties_even().clamp(-CODE_MAX, CODE_MAX);
        let mut codes: Vec<f32> = values.iter().map(code).collect();
        if self.reduce_range {
            let pairs = codes.chunks_mut(self.inputs).flat_map(|row| row.as_chunks_mut::<2>().0);
            pairs.for_each(|pair| *pair = within_pair_max(*pair));
        }
        codes
    }

    /// The scale of one group of weights; 1 where every weight is (almost) zero.
    fn scale_for(&self, values: &[f32]) -> f32 {
        let reaches = self.reaches(values);
        let range = match self.calibration {
            Calibration::MinMax => largest(&reaches),
            Calibration::Percentile(percentile) => nearest_rank(reaches, percentile),
            Calibration::Mse => self.least_squares(values, largest(&reaches)),
        };
        scale_of(range)
    }

    /// How far the range has to go for each weight not to give way.
    fn reaches(&self, values: &[f32]) -> Vec<f32> {
        let mut reaches: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        if self.reduce_range {
            let rows = values.chunks(self.inputs).zip(reaches.chunks_mut(self.inputs));
            let pairs = rows.flat_map(|(values, reaches)| {
                values.as_chunks::<2>().0.iter().zip(reaches.as_chunks_mut::<2>().0)
            });
            for ([first, second], reaches) in pairs.filter(|([first, second], _)| first * second > 0.0) {
                let both = (CODE_MAX / PAIR_MAX * (first + second)).abs().min(f32::MAX);
                *reaches = reaches.map(|reach| reach.max(both));
            }
        }
        reaches
    }

    /// The range among `1.00, 0.99 … 0.40` of the furthest reach that gives the least squared error; the widest of equals.
    fn least_squares(&self, values: &[f32], furthest: f32) -> f32 {
        let mut best = (f64::INFINITY, furthest);
        for percent in (40..=100_u8).rev() {
            let range = furthest * f32::from(percent) / 100.0;
            let error = self.squared_error(values, scale_of(range));
            if error < best.0 {
                best = (error, range);
            }
        }
        best.1
    }

    fn squared_error(&self, values: &[f32], scale: f32) -> f64 {
        let codes = self.rounded(values, scale);
        values.iter().zip(codes).map(|(&value, code)| f64::from(value - code * scale).powi(2)).sum()
    }
}

/// Takes as much off two codes of one sign as they sum to beyond `PAIR_MAX`, off both alike.
fn within_pair_max([first, second]: [f32; 2]) -> [f32; 2] {
    let excess = (first + second).abs() - PAIR_MAX;
    if first * second <= 0.0 || excess <= 0.0 {
        return [first, second];
    }
    let half = (excess / 2.0).floor().copysign(first);
    [first - (excess.copysign(first) - half), second - half]
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

fn scale_of(range: f32) -> f32 {
    let scale = range / CODE_MAX;
    if scale < f32::MIN_POSITIVE { 1.0 } else { scale }
}

fn largest(magnitudes: &[f32]) -> f32 {
    magnitudes.iter().copied().fold(0.0, f32::max)
}

/// The smallest magnitude that at least `percentile` per cent of those that are not zero do not exceed; 0 when all are. Zeros do not
/// count, because they are exact at any scale: otherwise a pruned channel would lose the few weights it has.
fn nearest_rank(mut magnitudes: Vec<f32>, percentile: f64) -> f32 {
    magnitudes.retain(|&magnitude| magnitude > 0.0);
    magnitudes.sort_by(f32::total_cmp);
    let rank = (percentile / 100.0 * magnitudes.len() as f64).ceil() as usize;
    magnitudes.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
