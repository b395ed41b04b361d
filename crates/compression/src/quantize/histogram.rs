use leat_model::ActivationQuantization;

use super::affine::{affine_u8, dequantize_u8, quantize_u8};
use crate::Calibration;

/// Bins of a histogram: eight to every step of a `u8` range.
const BINS: usize = 2048;

/// Counts of values in equal bins over a range known beforehand. Its size does not depend on how many values it has seen.
#[derive(Clone, Debug)]
pub struct Histogram {
    low: f32,
    high: f32,
    counts: Vec<u64>,
    /// Exact zeros, which every range represents without error.
    zeros: u64,
}

impl Histogram {
    /// Counts nothing yet over `low..=high`, both finite with `low <= high`.
    pub fn new(low: f32, high: f32) -> Self {
        Self { low, high, counts: vec![0; BINS], zeros: 0 }
    }

    /// Counts finite values. Those outside the range fall into the first or last bin.
    pub fn add(&mut self, values: &[f32]) {
        for &value in values {
            self.zeros += u64::from(value == 0.0);
            let bin = self.bin(value);
            if let Some(count) = self.counts.get_mut(bin) {
                *count += 1;
            }
        }
    }

    /// The range of `u8` codes that `calibration` chooses.
    pub fn quantization(&self, calibration: Calibration) -> ActivationQuantization {
        match calibration {
            Calibration::MinMax => affine_u8(self.low, self.high),
            Calibration::Percentile(percentile) => {
                let (low, high) = self.central(percentile);
                affine_u8(low, high)
            }
            Calibration::Mse => self.least_squares(),
        }
    }

    /// The edges between which the central `percentile` per cent lie; half of the rest is cut at each end. The edges are those
    /// that ONNX Runtime's `HistogramCollector.compute_percentile` gives.
    pub fn central(&self, percentile: f64) -> (f32, f32) {
        let total: u64 = self.counts.iter().sum();
        let cut = (100.0 - percentile) / 200.0;
        let mut seen = 0;
        let shares: Vec<f64> = self
            .counts
            .iter()
            .map(|count| {
                seen += count;
                seen as f64 / total.max(1) as f64
            })
            .collect();
        let left = shares.partition_point(|&share| share < cut);
        let right = shares.partition_point(|&share| share < 1.0 - cut);
        (self.edge(left), self.edge(right))
    }

    /// The ends of the range shrunk together to `1.00, 0.99 … 0.40` of themselves, whichever gives the least squared error
    /// over the centres of the bins; the widest of equals.
    fn least_squares(&self) -> ActivationQuantization {
        let mut best = (f64::INFINITY, affine_u8(self.low, self.high));
        for percent in (40..=100_u8).rev() {
            let share = f32::from(percent) / 100.0;
            let candidate = affine_u8(self.low * share, self.high * share);
            let error = self.squared_error(candidate);
            if error < best.0 {
                best = (error, candidate);
            }
        }
        best.1
    }

    fn squared_error(&self, by: ActivationQuantization) -> f64 {
        let zero_bin = self.bin(0.0);
        let half_bin = 0.5 / BINS as f64;
        let errors = self.counts.iter().enumerate().map(|(bin, &count)| {
            let count = if bin == zero_bin { count - self.zeros } else { count };
            let centre = self.at(bin as f64 / BINS as f64 + half_bin);
            count as f64 * f64::from(centre - dequantize_u8(quantize_u8(centre, by), by)).powi(2)
        });
        errors.sum()
    }

    fn bin(&self, value: f32) -> usize {
        let width = f64::from(self.high) - f64::from(self.low);
        if width <= 0.0 {
            return 0;
        }
        // A float-to-integer cast saturates, so what lies below the range falls into bin 0.
        let position = (f64::from(value) - f64::from(self.low)) / width * BINS as f64;
        (position as usize).min(BINS - 1)
    }

    fn edge(&self, index: usize) -> f32 {
        self.at(index.min(BINS) as f64 / BINS as f64)
    }

    fn at(&self, share: f64) -> f32 {
        (f64::from(self.low) + (f64::from(self.high) - f64::from(self.low)) * share) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_widens_min_max_but_not_a_percentile() {
        let mut histogram = Histogram::new(0.0, 2.0);
        let values: Vec<f32> = (0..100_000).map(|i| i as f32 / 100_000.0).collect();
        histogram.add(&values);
        histogram.add(&[2.0]);
        let scale = |calibration| histogram.quantization(calibration).scale;
        assert_eq!(scale(Calibration::MinMax), 2.0 / 255.0);
        assert!(scale(Calibration::Percentile(99.9)) < 1.01 / 255.0);
        assert!(scale(Calibration::Mse) < scale(Calibration::MinMax));
    }

    #[test]
    fn exact_zeros_do_not_count_as_error() {
        let mut with_zeros = Histogram::new(0.0, 1.0);
        with_zeros.add(&[0.3, 0.9, 1.0]);
        let without = with_zeros.quantization(Calibration::Mse);
        with_zeros.add(&[0.0; 1000]);
        assert_eq!(with_zeros.quantization(Calibration::Mse), without);
    }

    #[test]
    fn a_constant_and_an_empty_histogram_still_give_a_range() {
        for calibration in [Calibration::MinMax, Calibration::Percentile(99.0), Calibration::Mse] {
            let mut histogram = Histogram::new(0.0, 0.0);
            assert_eq!(histogram.quantization(calibration).scale, 1.0);
            histogram.add(&[0.0, 0.0]);
            assert_eq!(histogram.quantization(calibration).scale, 1.0);
        }
    }

    #[test]
    fn values_beyond_the_range_fall_into_the_outer_bins() {
        let mut histogram = Histogram::new(-1.0, 1.0);
        histogram.add(&[-5.0, 5.0]);
        assert_eq!((histogram.counts[0], histogram.counts[BINS - 1]), (1, 1));
    }
}
