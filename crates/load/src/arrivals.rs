//! When requests of an open loop should be sent.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::Error;

/// How the requests of an open loop are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// All gaps are equal.
    Constant,
    /// Gaps are exponential: independent callers, who sometimes come together.
    Poisson,
}

/// The intended moments of an open loop, one after the other, counted from its start. It has no end.
#[derive(Debug)]
pub struct Schedule {
    per_second: f64,
    arrivals: Arrivals,
    random: ChaCha8Rng,
    sent: u64,
    seconds: f64,
}

/// More than one process sends in any case.
const PER_SECOND_MAX: f64 = 10_000_000.0;

impl Schedule {
    /// `per_second` requests a second on average. The same seed gives the same moments.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rate that is not between 0 and ten million.
    pub fn new(per_second: f64, arrivals: Arrivals, seed: u64) -> Result<Self, Error> {
        let is_usable = per_second > 0.0 && per_second <= PER_SECOND_MAX;
        if !is_usable {
            let reason =
                format!("{per_second} requests a second: it must be over 0 and at most {PER_SECOND_MAX}");
            return Err(Error::invalid("rate", reason));
        }
        Ok(Self { per_second, arrivals, random: ChaCha8Rng::seed_from_u64(seed), sent: 0, seconds: 0.0 })
    }

    /// Exponential with mean 1, by inversion.
    fn exponential(&mut self) -> f64 {
        let uniform = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        -(1.0 - uniform).ln()
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let seconds = match self.arrivals {
            // A product, not a sum: rounding errors must not add up over millions of requests.
            Arrivals::Constant => self.sent as f64 / self.per_second,
            Arrivals::Poisson => {
                self.seconds += self.exponential() / self.per_second;
                self.seconds
            }
        };
        self.sent += 1;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(arrivals: Arrivals, per_second: f64, seed: u64, count: usize) -> Vec<Duration> {
        Schedule::new(per_second, arrivals, seed).unwrap().take(count).collect()
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let moments = first(Arrivals::Constant, 3000.0, 0, 3_000_001);
        assert_eq!(moments[0], Duration::ZERO);
        assert_eq!(moments[3_000_000], Duration::from_secs(1000));
        assert!(
            moments
                .windows(2)
                .all(|pair| (pair[1] - pair[0]).abs_diff(Duration::from_nanos(333_333)).as_nanos() <= 1)
        );
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_independent_callers() {
        let count = 100_000;
        let moments = first(Arrivals::Poisson, 1000.0, 7, count);
        let gaps: Vec<f64> = moments.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 1000.0 - 1.0).abs() < 0.02, "mean gap {mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "an exponential's deviation is its mean");
        assert_eq!(moments, first(Arrivals::Poisson, 1000.0, 7, count), "the seed decides");
        assert_ne!(moments, first(Arrivals::Poisson, 1000.0, 8, count));
    }

    #[test]
    fn impossible_rates_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(
                matches!(Schedule::new(rate, Arrivals::Constant, 0), Err(Error::Invalid { .. })),
                "{rate}"
            );
        }
    }
}
