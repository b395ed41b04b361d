//! Which rounds count when the processors are shared with others.

use std::fmt;

use serde::Serialize;

use crate::timing::{ROUNDS_MIN, median};
use crate::watch::Disturbance;

/// One round of so many counts.
const OF: usize = 4;

/// What was measured, and how disturbed the processors were meanwhile; none when nobody watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) disturbance: Option<Disturbance>,
}

/// A median, and what it is of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Median {
    pub(super) value: f64,
    /// Rounds, and those of them that count.
    pub(super) rounds: usize,
    pub(super) counted: usize,
    /// How disturbed they were at most; none when nobody watched.
    pub(super) disturbance: Option<Disturbance>,
}

/// The median over all samples, or, when somebody watched, over the least disturbed quarter and at least 15 of them.
pub(super) fn of_calmest(mut samples: Vec<Sample>) -> Median {
    let rounds = samples.len();
    if samples.iter().all(|sample| sample.disturbance.is_some()) {
        let disturbance = |sample: &Sample| sample.disturbance.unwrap_or_default();
        samples.sort_by(|one, other| disturbance(one).order(&disturbance(other)));
        samples.truncate((samples.len() / OF).max(ROUNDS_MIN));
    }
    Median {
        value: median(samples.iter().map(|sample| sample.value).collect()),
        rounds,
        counted: samples.len(),
        disturbance: samples.iter().filter_map(|sample| sample.disturbance).reduce(Disturbance::and),
    }
}

impl Median {
    /// Which rounds it is of, for people.
    pub(super) fn basis(&self) -> String {
        let Self { rounds, counted, .. } = self;
        let Disturbance { stolen_ms, slow } = self.disturbance.unwrap_or_default();
        let slow = slow * 100.0;
        format!(
            "{counted} of {rounds} rounds, in which at most {stolen_ms} ms were stolen and {slow:.0} % of the readings slow"
        )
    }
}

impl fmt::Display for Median {
    /// The value with two digits, and what it is of when not all rounds count.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.2}", self.value)?;
        match &self.disturbance {
            Some(_) => write!(out, "; {}", self.basis()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(slow: fn(usize) -> Option<f64>) -> Vec<Sample> {
        let disturbance = |index| slow(index).map(|slow| Disturbance { stolen_ms: 0, slow });
        (0..80).map(|index| Sample { value: index as f64, disturbance: disturbance(index) }).collect()
    }

    fn slow(slow: f64) -> Option<Disturbance> {
        Some(Disturbance { stolen_ms: 0, slow })
    }

    #[test]
    fn the_calmest_quarter_counts_and_at_least_fifteen() {
        let all = || samples(|index| Some(1.0 - index as f64 / 128.0));
        assert_eq!(
            of_calmest(all()),
            Median { value: 70.0, rounds: 80, counted: 20, disturbance: slow(68.0 / 128.0) }
        );
        let few = all().split_off(64);
        assert_eq!(
            of_calmest(few),
            Median { value: 72.0, rounds: 16, counted: 15, disturbance: slow(63.0 / 128.0) }
        );
    }

    #[test]
    fn when_nobody_watched_all_count() {
        assert_eq!(
            of_calmest(samples(|_| None)),
            Median { value: 40.0, rounds: 80, counted: 80, disturbance: None }
        );
    }
}
