//! Medians, taken in rounds.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Error;
use crate::contender::Contender;
use crate::gauge::Gauge;

/// A sample lasts at least this long, so that reading the clock does not count.
const SAMPLE_MIN: Duration = Duration::from_micros(50);
/// Fewer say little about a median.
pub(crate) const ROUNDS_MIN: usize = 15;
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

/// What tells calm rounds from others, and how long a cell may wait for them.
pub(crate) struct Calm {
    gauge: Gauge,
    patience: Duration,
}

impl Calm {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { gauge: Gauge::new(), patience }
    }
}

/// The time of one run of each contender, in microseconds, in turns.
struct Round {
    times: Vec<f64>,
    spent: Duration,
    /// The longest reading of the gauge between the turns; 0 without one.
    reading: f64,
}

/// What was found out about the contenders of a cell.
pub(crate) struct Timings {
    /// In the order of the contenders.
    pub(crate) contenders: Vec<Timing>,
    pub(crate) rounds: Rounds,
}

/// How many rounds there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rounds {
    pub(crate) all: usize,
    pub(crate) calm: usize,
    /// The calm ones, or more where they were too few.
    pub(crate) counted: usize,
}

/// Times contenders in rounds, in each of which all take a turn. There are as many rounds as give each contender `budget` on average. Where
/// calm rounds are told from others only these count, and there are more until there are enough of them or patience is at an end; then the
/// calmest count.
pub(crate) fn timings(
    contenders: &mut [Box<dyn Contender>],
    budget: Duration,
    mut calm: Option<&mut Calm>,
) -> Result<Timings, Error> {
    // As many for all: the first run of a turn brings the model back into the cache, the others find it there.
    let mut runs = 1;
    for contender in &mut *contenders {
        runs = runs_per_sample(contender.as_mut())?.max(runs);
    }
    let budget = budget * contenders.len() as u32;
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let (began, mut rounds, mut found) = (Instant::now(), Vec::new(), Found::default());
    loop {
        let round = round(contenders, runs, &order, calm.as_mut().map(|calm| &mut calm.gauge))?;
        let (limit, patience) =
            calm.as_ref().map_or((0.0, Duration::MAX), |calm| (calm.gauge.limit(), calm.patience));
        if limit < found.limit {
            found = Found { limit, ..Found::default() };
            rounds.iter().for_each(|round| found.add(round));
        }
        found.limit = limit;
        found.add(&round);
        rounds.push(round);
        reorder(&mut order, rounds.len());
        let is_enough = found.count >= ROUNDS_MIN && found.spent >= budget;
        if is_enough || rounds.len() >= ROUNDS_MIN && began.elapsed() >= patience {
            let (all, calm) = (rounds.len(), found.count);
            let counted = calmest(rounds, calm);
            let rounds = Rounds { all, calm, counted: counted.len() };
            return Ok(Timings { contenders: medians(&counted), rounds });
        }
    }
}

/// The calm rounds so far. To go through all rounds after each would take ever longer, and the caches from the contenders.
#[derive(Default)]
struct Found {
    /// The longest reading of a calm round.
    limit: f64,
    count: usize,
    spent: Duration,
}

impl Found {
    fn add(&mut self, round: &Round) {
        if round.reading <= self.limit {
            self.count += 1;
            self.spent += round.spent;
        }
    }
}

/// Who was first becomes last; once each has been first, all go the other way round. So each contender has every turn about as often, after
/// either neighbour, and of three or more none follows itself: with models that come from memory the first turn of a fixed order, or of one
/// that is only turned round, is a tenth slower.
fn reorder(order: &mut [usize], rounds: usize) {
    order.rotate_left(1);
    if rounds.is_multiple_of(order.len()) {
        order.reverse();
    }
}

/// A turn of each contender, in that order.
fn round(
    contenders: &mut [Box<dyn Contender>],
    runs: u32,
    order: &[usize],
    mut gauge: Option<&mut Gauge>,
) -> Result<Round, Error> {
    let mut read = || gauge.as_deref_mut().map_or(0.0, Gauge::read);
    let mut round = Round { times: vec![0.0; contenders.len()], spent: Duration::ZERO, reading: read() };
    for &index in order {
        let took = sample(contenders[index].as_mut(), runs)?;
        round.reading = round.reading.max(read());
        round.spent += took;
        round.times[index] = took.as_secs_f64() * 1e6 / f64::from(runs);
    }
    Ok(round)
}

/// So many of the calmest rounds, at least `ROUNDS_MIN`.
fn calmest(mut rounds: Vec<Round>, count: usize) -> Vec<Round> {
    rounds.sort_by(|one, other| one.reading.total_cmp(&other.reading));
    rounds.truncate(count.max(ROUNDS_MIN));
    rounds
}

fn medians(rounds: &[Round]) -> Vec<Timing> {
    let contenders = rounds.first().map_or(0, |round| round.times.len());
    let of = |contender: usize| {
        let us = median(rounds.iter().map(|round| round.times[contender]).collect());
        let ratio = median(rounds.iter().map(|round| round.times[contender] / round.times[0]).collect());
        Timing { us, ratio }
    };
    (0..contenders).map(of).collect()
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
            timings(&mut [waiting(400), waiting(10), waiting(100)], Duration::from_millis(5), None).unwrap();
        let Rounds { all, calm, counted } = timings.rounds;
        assert_eq!((calm, counted), (all, all));
        let timings = timings.contenders;
        let [first, second, third] = timings[..] else { panic!("{timings:?}") };
        // Whoever else runs here makes a wait longer, never shorter.
        assert!(first.us >= 400.0 && second.us >= 10.0 && third.us >= 100.0, "{timings:?}");
        assert!(first.us > third.us && third.us > second.us, "{timings:?}");
        assert!(first.ratio == 1.0 && second.ratio < third.ratio && third.ratio < 1.0, "{timings:?}");
    }

    #[test]
    fn each_contender_has_every_turn_equally_often_and_never_follows_itself() {
        for contenders in 3..=5 {
            let mut order: Vec<usize> = (0..contenders).collect();
            let (mut counts, mut turns) = (vec![vec![0; contenders]; contenders], Vec::new());
            for round in 1..=2 * contenders {
                order.iter().enumerate().for_each(|(turn, &contender)| counts[contender][turn] += 1);
                turns.extend_from_slice(&order);
                reorder(&mut order, round);
            }
            assert!(counts.iter().flatten().all(|&count| count == 2), "{counts:?}");
            assert!(turns.windows(2).all(|two| two[0] != two[1]), "{turns:?}");
        }
    }

    #[test]
    fn calm_rounds_count_and_without_enough_of_them_the_calmest() {
        let rounds = |calm: usize, loud: usize| -> Vec<Round> {
            let round = |(count, reading)| (0..count).map(move |at| (at, reading));
            let all = [(loud, 3.0), (calm, 1.0)].into_iter().flat_map(round);
            all.map(|(at, reading)| Round { times: vec![at as f64, reading], spent: Duration::ZERO, reading })
                .collect()
        };
        let counted = calmest(rounds(20, 30), 20);
        assert_eq!((counted.len(), medians(&counted)[1].us), (20, 1.0));
        let counted = calmest(rounds(5, 30), 5);
        assert_eq!((counted.len(), medians(&counted)[1].us), (ROUNDS_MIN, 3.0));
        assert_eq!(calmest(rounds(0, 3), 0).len(), 3);
    }

    #[test]
    fn patience_has_an_end_where_nothing_is_calm() {
        let mut calm = Calm::new(Duration::ZERO);
        let mut contenders = [Box::new(Waiting(Duration::from_micros(100))) as Box<dyn Contender>];
        let timings = timings(&mut contenders, Duration::from_secs(3600), Some(&mut calm)).unwrap();
        let Rounds { all, counted, .. } = timings.rounds;
        assert_eq!((all, counted), (ROUNDS_MIN, ROUNDS_MIN));
    }
}
