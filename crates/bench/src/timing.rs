//! Medians, taken in rounds.

use std::time::{Duration, Instant};

use crate::Error;
use crate::contender::Contender;

/// A sample lasts at least this long, so that reading the clock does not count.
const SAMPLE_MIN: Duration = Duration::from_micros(50);
const ROUNDS_MIN: usize = 15;
const RUNS_MAX: u32 = 1 << 16;

/// What the rounds say about one contender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// The median time of one run in microseconds.
    pub(crate) us: f64,
    /// The median, over the rounds, of its time in terms of that of the first contender. What slows the machine down for longer than a round
    /// meets both alike.
    pub(crate) ratio: f64,
}

/// Times contenders in rounds, in each of which all take a turn, the order turned round from one to the next. There are as many rounds
/// as give each contender `budget` on average.
pub(crate) fn timings(contenders: &mut [Box<dyn Contender>], budget: Duration) -> Result<Vec<Timing>, Error> {
    let mut runs = Vec::with_capacity(contenders.len());
    for contender in &mut *contenders {
        runs.push(runs_per_sample(contender.as_mut())?);
    }
    let budget = budget * contenders.len() as u32;
    let mut samples = vec![Vec::new(); contenders.len()];
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let (mut rounds, mut spent) = (0, Duration::ZERO);
    while rounds < ROUNDS_MIN || spent < budget {
        for &index in &order {
            let took = sample(contenders[index].as_mut(), runs[index])?;
            spent += took;
            samples[index].push(took.as_secs_f64() * 1e6 / f64::from(runs[index]));
        }
        order.reverse();
        rounds += 1;
    }
    let first = samples.first().cloned().unwrap_or_default();
    let timing = |samples: Vec<f64>| {
        let ratios = samples.iter().zip(&first).map(|(time, first)| time / first);
        Timing { ratio: median(ratios.collect()), us: median(samples) }
    };
    Ok(samples.into_iter().map(timing).collect())
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
pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
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
        let timings =
            timings(&mut [waiting(400), waiting(10), waiting(100)], Duration::from_millis(5)).unwrap();
        let [first, second, third] = timings[..] else { panic!("{timings:?}") };
        // Whoever else runs here makes a wait longer, never shorter.
        assert!(first.us >= 400.0 && second.us >= 10.0 && third.us >= 100.0, "{timings:?}");
        assert!(first.us > third.us && third.us > second.us, "{timings:?}");
        assert!(first.ratio == 1.0 && second.ratio < third.ratio && third.ratio < 1.0, "{timings:?}");
    }
}
