//! Medians, taken in turns.

use std::time::{Duration, Instant};

use crate::Error;
use crate::contender::Contender;

/// A sample lasts at least this long, so that reading the clock does not count.
const SAMPLE_MIN: Duration = Duration::from_micros(50);
const SAMPLES_MIN: usize = 9;
const RUNS_MAX: u32 = 1 << 16;

/// The median time of one run of each contender, in microseconds. They take turns, and the order is turned round after each
/// round.
pub(crate) fn medians(contenders: &mut [Box<dyn Contender>], budget: Duration) -> Result<Vec<f64>, Error> {
    let mut runs = Vec::with_capacity(contenders.len());
    for contender in &mut *contenders {
        runs.push(runs_per_sample(contender.as_mut())?);
    }
    let mut samples = vec![Vec::new(); contenders.len()];
    let mut spent = vec![Duration::ZERO; contenders.len()];
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    loop {
        for &index in &order {
            let is_done = samples[index].len() >= SAMPLES_MIN && spent[index] >= budget;
            if !is_done {
                let took = sample(contenders[index].as_mut(), runs[index])?;
                spent[index] += took;
                samples[index].push(took.as_secs_f64() * 1e6 / f64::from(runs[index]));
            }
        }
        order.reverse();
        if samples.iter().zip(&spent).all(|(samples, &spent)| samples.len() >= SAMPLES_MIN && spent >= budget)
        {
            return Ok(samples.into_iter().map(median).collect());
        }
    }
}

fn runs_per_sample(contender: &mut dyn Contender) -> Result<u32, Error> {
    sample(contender, 3)?;
    let mut runs = 1;
    while runs < RUNS_MAX && sample(contender, runs)? < SAMPLE_MIN {
        runs *= 2;
    }
    Ok(runs)
}

fn sample(contender: &mut dyn Contender, runs: u32) -> Result<Duration, Error> {
    let began = Instant::now();
    for _ in 0..runs {
        contender.run()?;
    }
    Ok(began.elapsed())
}

/// The middle of an odd number of samples, and the later one of the two in the middle of an even number.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Waits for so long in each run.
    struct Waiting(Duration);

    impl Contender for Waiting {
        fn run(&mut self) -> Result<(), Error> {
            let began = Instant::now();
            while began.elapsed() < self.0 {}
            Ok(())
        }

        fn output(&mut self) -> Result<Vec<f32>, Error> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 3.0);
        assert_eq!(median(vec![5.0]), 5.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn each_contender_gets_the_time_of_one_of_its_own_runs() {
        let waiting = |us| Box::new(Waiting(Duration::from_micros(us))) as Box<dyn Contender>;
        let times =
            medians(&mut [waiting(400), waiting(10), waiting(100)], Duration::from_millis(5)).unwrap();
        // Whoever else runs here makes a wait longer, never shorter.
        assert!(times[0] >= 400.0 && times[1] >= 10.0 && times[2] >= 100.0, "{times:?}");
        assert!(times[0] > times[2] && times[2] > times[1], "{times:?}");
    }
}
