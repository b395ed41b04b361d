//! Confidence intervals of a ratio.

/// The standard normal quantile for a two-sided 95 % interval.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A range that holds the true value with the confidence that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end; of a ratio 0 or more.
    pub low: f64,
    /// Upper end; of a ratio 1 or less.
    pub high: f64,
}

/// The Wilson score interval (Wilson 1927) of a success ratio. It stays within 0 and 1 and is useful for few trials and
/// for ratios near the ends, where the normal approximation is not.
///
/// `z` is the standard normal quantile, [`Z_95`] for 95 %. None when there were no trials, when more succeeded than were
/// tried, or when `z` is negative or not finite.
///
/// ```
/// use leat_statistics::{Z_95, wilson_interval};
/// let interval = wilson_interval(90, 100, Z_95).unwrap();
/// assert!((interval.low - 0.8256).abs() < 1e-4 && (interval.high - 0.9448).abs() < 1e-4);
/// ```
pub fn wilson_interval(successes: u64, trials: u64, z: f64) -> Option<Interval> {
    let is_defined = trials > 0 && successes <= trials && z.is_finite() && z >= 0.0;
    if !is_defined {
        return None;
    }
    let trials_f = trials as f64;
    let ratio = successes as f64 / trials_f;
    let z_squared = z * z;
    let denominator = 1.0 + z_squared / trials_f;
    let centre = (ratio + z_squared / (2.0 * trials_f)) / denominator;
    let variance = ratio * (1.0 - ratio) / trials_f + z_squared / (4.0 * trials_f * trials_f);
    let half_width = z * variance.sqrt() / denominator;
    Some(Interval { low: (centre - half_width).max(0.0), high: (centre + half_width).min(1.0) })
}

/// Successes among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many succeeded.
    pub successes: u64,
    /// How many were tried.
    pub trials: u64,
}

impl Share {
    /// The ratio, none without trials.
    pub fn ratio(self) -> Option<f64> {
        (self.trials > 0).then(|| self.successes as f64 / self.trials as f64)
    }
}

/// The interval of the difference between two independent ratios, `first - second`, from their Wilson intervals (Newcombe 1998,
/// method 10). Its ends lie between -1 and 1. None when one of the intervals is not defined.
///
/// ```
/// use leat_statistics::{Share, Z_95, difference_interval};
/// // The first example of Newcombe's paper.
/// let (first, second) = (Share { successes: 56, trials: 70 }, Share { successes: 48, trials: 80 });
/// let interval = difference_interval(first, second, Z_95).unwrap();
/// assert!((interval.low - 0.0524).abs() < 1e-4 && (interval.high - 0.3339).abs() < 1e-4);
/// ```
pub fn difference_interval(first: Share, second: Share, z: f64) -> Option<Interval> {
    let one = wilson_interval(first.successes, first.trials, z)?;
    let other = wilson_interval(second.successes, second.trials, z)?;
    let (p, q) = (first.ratio()?, second.ratio()?);
    let difference = p - q;
    let low = difference - (p - one.low).hypot(other.high - q);
    let high = difference + (one.high - p).hypot(q - other.low);
    Some(Interval { low: low.max(-1.0), high: high.min(1.0) })
}
