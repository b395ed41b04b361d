//! The mean of numbers that were counted, and what is known of it.

use crate::Interval;

/// Numbers, by their count and sums.
///
/// ```
/// use leat_statistics::Sample;
/// let sample: Sample = [1.0, 2.0, 3.0, 4.0].into_iter().collect();
/// assert_eq!((sample.count(), sample.mean(), sample.variance()), (4, Some(2.5), Some(5.0 / 3.0)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Sample {
    /// Numbers whose sum, and the sum of whose squares, somebody tells. None where no numbers have such sums.
    ///
    /// ```
    /// use leat_statistics::Sample;
    /// assert_eq!(Sample::from_sums(4, 10.0, 30.0), Some([1.0, 2.0, 3.0, 4.0].into_iter().collect()));
    /// assert_eq!(Sample::from_sums(4, 10.0, 20.0), None);
    /// ```
    pub fn from_sums(count: u64, sum: f64, squares: f64) -> Option<Self> {
        // By Cauchy and Schwarz the squares are at least this; adding rounds.
        let least = sum * sum / count.max(1) as f64;
        let may_be = squares.is_finite() && least <= squares + 1e-9 * squares.abs();
        let is_sum = if count == 0 { sum == 0.0 && squares == 0.0 } else { may_be };
        is_sum.then_some(Self { count, sum, squares })
    }

    /// Adds a number.
    pub fn record(&mut self, number: f64) {
        *self = self.merge(Self { count: 1, sum: number, squares: number * number });
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The sum of their squares.
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// None without any.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The unbiased variance of what they were drawn from; none of fewer than two.
    pub fn variance(&self) -> Option<f64> {
        let others = self.count.checked_sub(1).filter(|others| *others > 0)?;
        let deviations = self.squares - self.sum * self.mean()?;
        Some(deviations.max(0.0) / others as f64)
    }

    /// The square of the standard error of the mean; none of fewer than two.
    pub fn squared_error(&self) -> Option<f64> {
        Some(self.variance()? / self.count as f64)
    }

    /// Both together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<T: IntoIterator<Item = f64>>(numbers: T) -> Self {
        let mut sample = Self::default();
        numbers.into_iter().for_each(|number| sample.record(number));
        sample
    }
}

/// The interval of the difference between two independent means, `first - factor · second`: normal, with Welch's standard error
/// (Welch 1947), so it needs some tens of numbers in each. None where a variance is not defined.
///
/// ```
/// use leat_statistics::{Sample, Z_95, mean_difference_interval};
/// let first: Sample = [1.0, 2.0, 3.0, 4.0].into_iter().collect();
/// let second: Sample = [2.0, 4.0, 6.0, 8.0].into_iter().collect();
/// // The standard error is √(5/3 / 4 + 20/3 / 4) = 1.443376.
/// let interval = mean_difference_interval(first, second, 1.0, Z_95).unwrap();
/// assert!((interval.low + 5.328965).abs() < 1e-5 && (interval.high - 0.328965).abs() < 1e-5);
/// ```
pub fn mean_difference_interval(first: Sample, second: Sample, factor: f64, z: f64) -> Option<Interval> {
    let difference = first.mean()? - factor * second.mean()?;
    let error = z * (first.squared_error()? + factor * factor * second.squared_error()?).sqrt();
    Some(Interval { low: difference - error, high: difference + error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_numbers_tell_nothing() {
        let [none, one, two]: [Sample; 3] =
            [vec![], vec![3.0], vec![3.0, 3.0]].map(|numbers| numbers.into_iter().collect());
        assert_eq!((none.mean(), none.variance(), one.variance()), (None, None, None));
        assert_eq!((one.mean(), two.variance()), (Some(3.0), Some(0.0)));
        assert_eq!(mean_difference_interval(one, two, 1.0, 2.0), None);
        assert_eq!(mean_difference_interval(two, two, 1.5, 2.0), Some(Interval { low: -1.5, high: -1.5 }));
    }

    #[test]
    fn merging_is_as_counting_together() {
        let numbers = [0.5, 2.0, -1.0, 8.0, 3.25];
        let (some, others) = numbers.split_at(2);
        let of = |numbers: &[f64]| numbers.iter().copied().collect::<Sample>();
        assert_eq!(of(some).merge(of(others)), of(&numbers));
    }
}
