//! Whether somebody else has a part of the processor's core.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Some tens of microseconds.
const STEPS: u64 = 8_000;
/// How long the first readings take, which find out how short one can be.
const FIRST: Duration = Duration::from_millis(500);
/// A calm reading takes at most this many times as long as the shortest.
const CALM: f64 = 1.05;

/// A loop of as many instructions at once as a core can take. Where another thread of the same core runs as well, each gets only a part
/// of them, so that the loop takes longer; one that only multiplies and adds, as the peak does, would take as long as ever.
pub(crate) struct Gauge {
    /// The shortest reading so far, in seconds.
    shortest: f64,
}

impl Gauge {
    pub(crate) fn new() -> Self {
        let mut gauge = Self { shortest: f64::INFINITY };
        let began = Instant::now();
        while began.elapsed() < FIRST {
            gauge.read();
        }
        gauge
    }

    /// How many seconds the loop takes at the moment.
    pub(crate) fn read(&mut self) -> f64 {
        let began = Instant::now();
        turn(STEPS);
        let seconds = began.elapsed().as_secs_f64();
        self.shortest = self.shortest.min(seconds);
        seconds
    }

    /// The longest reading that is calm, by the shortest so far.
    pub(crate) fn limit(&self) -> f64 {
        self.shortest * CALM
    }
}

/// Independent chains of shifts, as many as a core has units for them, each by other distances: else the compiler would take several for
/// one vector, and there would be too few instructions.
fn turn(steps: u64) {
    let [mut a, mut b, mut c, mut d]: [u64; 4] = black_box([1, 2, 3, 4]);
    let [mut first, mut second]: [u64; 2] = black_box([5, 6]);
    for _ in 0..steps {
        (a, b, c, d) = (a ^ a << 13, b ^ b << 12, c ^ c << 17, d ^ d << 9);
        (first, second) = (first.wrapping_add(a), second.wrapping_add(b));
        (a, b, c, d) = (a ^ a >> 7, b ^ b >> 25, c ^ c >> 5, d ^ d >> 11);
    }
    black_box(([a, b, c, d], [first, second]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_reading_is_calm_and_twice_as_long_is_not() {
        let mut gauge = Gauge::new();
        let readings: Vec<f64> = (0..20).map(|_| gauge.read()).collect();
        let shortest = readings.into_iter().fold(f64::INFINITY, f64::min);
        assert!(gauge.shortest > 0.0 && gauge.shortest <= shortest);
        assert!(gauge.shortest < gauge.limit() && gauge.limit() < 2.0 * gauge.shortest);
    }
}
