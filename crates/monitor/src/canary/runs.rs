//! How long the runs of a version take, beside runs of others that are alike.

use std::collections::BTreeMap;

use leat_contract::{BatchFigures, RunTimes, WorkerId};
use leat_statistics::Sample;

/// Runs of a kind that are needed on both sides before it is compared.
const ALIKE_MIN: u64 = 5;
/// Runs of all kinds that are needed on both sides for a normal interval.
const RUNS_MIN: u64 = 30;
/// The logarithm of the most nanoseconds that can be told.
const LOG_MAX: f64 = 44.361_419_555_836_5;

/// What runs took on each worker.
#[derive(Debug, Default)]
pub(super) struct Runs {
    by_worker: BTreeMap<WorkerId, BTreeMap<Kind, Logs>>,
}

/// Runs that are alike. Cold ones are told apart, because of a version with few requests nearly all are, as others run in between, and of the
/// others few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    is_cold: bool,
    size: u64,
}

/// The runs of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Logs {
    rows: u64,
    /// The logarithms of their nanoseconds.
    logs: Sample,
}

/// How many times as long as others runs took, by geometric means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) mean: f64,
    /// The lower end of its interval.
    pub(super) low: f64,
    /// The runs it is seen in.
    pub(super) runs: u64,
}

impl Runs {
    /// Takes what a worker told. What cannot be is passed over.
    pub(super) fn add(&mut self, worker: &WorkerId, told: &[RunTimes]) {
        for (kind, told) in told.iter().filter_map(read) {
            let kinds = match self.by_worker.get_mut(worker) {
                Some(kinds) => kinds,
                None => self.by_worker.entry(worker.clone()).or_default(),
            };
            let sum = kinds.entry(kind).or_default();
            sum.rows = sum.rows.saturating_add(told.rows);
            sum.logs = sum.logs.merge(told.logs);
        }
    }

    /// Compares each kind on each worker with what the same worker takes for the others, and weighs the kinds by these runs. None when too
    /// few can be compared.
    pub(super) fn ratio_to(&self, others: &Self, z: f64) -> Option<Ratio> {
        let mut sum = Comparison::default();
        for (worker, tried) in &self.by_worker {
            if let Some(others) = others.by_worker.get(worker) {
                sum.add(tried, others)?;
            }
        }
        sum.ratio(z)
    }
}

/// Sums over what was compared, each weighed by the runs of the first.
#[derive(Debug, Default)]
struct Comparison {
    runs: u64,
    /// Of the others.
    beside: u64,
    log: f64,
    squared_error: f64,
}

impl Comparison {
    fn add(&mut self, tried: &BTreeMap<Kind, Logs>, others: &BTreeMap<Kind, Logs>) -> Option<()> {
        // Several kinds may be compared with one, whose chance must not count as if it were several.
        let mut theirs = BTreeMap::<Kind, f64>::new();
        for (kind, Logs { logs, .. }) in tried.iter().filter(is_enough) {
            let Some((nearest, expected)) = expected(others, *kind, tried.get(kind)?.mean_rows()) else {
                continue;
            };
            let weight = logs.count() as f64;
            self.runs = self.runs.saturating_add(logs.count());
            self.log += weight * (logs.mean()? - expected);
            self.squared_error += weight * weight * logs.squared_error()?;
            *theirs.entry(nearest).or_default() += weight;
        }
        for (kind, weight) in theirs {
            let logs = others.get(&kind)?.logs;
            self.beside = self.beside.saturating_add(logs.count());
            self.squared_error += weight * weight * logs.squared_error()?;
        }
        Some(())
    }

    fn ratio(self, z: f64) -> Option<Ratio> {
        let all = self.runs as f64;
        let (log, error) = (self.log / all, z * self.squared_error.sqrt() / all);
        let is_enough = self.runs.min(self.beside) >= RUNS_MIN;
        is_enough.then(|| Ratio { mean: log.exp(), low: (log - error).exp(), runs: self.runs })
    }
}

impl Logs {
    fn mean_rows(&self) -> f64 {
        self.rows as f64 / self.logs.count() as f64
    }

    /// What a run with so many rows should take at most: no longer than these if it has fewer, and no longer than these per row if it has
    /// more.
    fn allow(&self, rows: f64) -> Option<f64> {
        Some(self.logs.mean()? + (rows / self.mean_rows()).max(1.0).ln())
    }
}

fn is_enough((_, Logs { logs, .. }): &(&Kind, &Logs)) -> bool {
    logs.count() >= ALIKE_MIN
}

/// What a run takes by others of the same size; without any by the next larger or the next smaller one, whichever allows more.
fn expected(others: &BTreeMap<Kind, Logs>, kind: Kind, rows: f64) -> Option<(Kind, f64)> {
    let alike = || others.iter().filter(is_enough).filter(|(other, _)| other.is_cold == kind.is_cold);
    let same = alike().find(|(other, _)| other.size == kind.size);
    let larger = alike().find(|(other, _)| other.size > kind.size).filter(|_| same.is_none());
    let smaller = alike().rfind(|(other, _)| other.size < kind.size).filter(|_| same.is_none());
    let all = [same, larger, smaller].into_iter().flatten();
    let allowed = all.filter_map(|(other, logs)| Some((*other, logs.allow(rows)?)));
    allowed.max_by(|(_, first), (_, second)| first.total_cmp(second))
}

/// There are few sizes, so that what is kept stays small, and a logarithm is neither negative nor of more than can be told.
fn read(told: &RunTimes) -> Option<(Kind, Logs)> {
    let &RunTimes { size, is_cold, count, rows, log_sum, log_squares } = told;
    let is_size = size > 0 && BatchFigures::size_of(size) == size;
    let has_rows = rows >= count && rows <= count.saturating_mul(size);
    let is_possible = log_sum >= 0.0 && log_sum <= LOG_MAX * count as f64 && log_squares <= LOG_MAX * log_sum;
    let logs = Sample::from_sums(count, log_sum, log_squares)?;
    (is_size && has_rows && is_possible).then_some((Kind { is_cold, size }, Logs { rows, logs }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: f64 = 3.0;

    /// Runs of a size that take about so long: a tenth more or less in turns.
    fn told(size: u64, count: u64, ns: f64) -> RunTimes {
        let logs = (0..count).map(|run| (ns * if run % 2 == 0 { 1.1 } else { 1.0 / 1.1 }).ln());
        let logs = logs.collect::<Sample>();
        RunTimes {
            size,
            is_cold: false,
            count,
            rows: size * count,
            log_sum: logs.sum(),
            log_squares: logs.squares(),
        }
    }

    fn runs(told: &[RunTimes]) -> Runs {
        let mut runs = Runs::default();
        runs.add(&"worker-1".parse().unwrap(), told);
        runs
    }

    fn ratio(tried: &[RunTimes], others: &[RunTimes]) -> Ratio {
        runs(tried).ratio_to(&runs(others), Z).unwrap()
    }

    #[test]
    fn sizes_are_compared_each_with_itself() {
        // Each takes twice as long, though the canary's larger runs make its mean much longer than that.
        let twice = ratio(
            &[told(1, 100, 2_000.0), told(8, 900, 16_000.0)],
            &[told(1, 900, 1_000.0), told(8, 100, 8_000.0)],
        );
        assert!((twice.mean - 2.0).abs() < 1e-9 && twice.runs == 1000, "{twice:?}");
        // ln 1.1 is the deviation of every sample, but for n / (n - 1): the weights are 0.1 and 0.9.
        let squared = 1.1_f64.ln().powi(2);
        let error = squared * (0.01 * (1.0 / 99.0 + 1.0 / 899.0) + 0.81 * (1.0 / 899.0 + 1.0 / 99.0));
        assert!((twice.low - 2.0 * (-Z * error.sqrt()).exp()).abs() < 1e-9, "{twice:?}");
    }

    #[test]
    fn where_no_size_meets_the_comparison_leans_to_the_canary() {
        let others = [told(16, 100, 32_000.0)];
        // As fast for one row as the others for 16.
        assert!((ratio(&[told(1, 100, 32_000.0)], &others).mean - 1.0).abs() < 1e-9);
        // Four times as many rows in four times the time.
        assert!((ratio(&[told(64, 100, 128_000.0)], &others).mean - 1.0).abs() < 1e-9);
        // The nearest ones count, and of them the one that allows more: 9 µs by the larger, 16 µs by twice the smaller.
        let three = [told(4, 100, 8_000.0), told(16, 100, 9_000.0), told(64, 100, 36_000.0)];
        assert!((ratio(&[told(8, 100, 32_000.0)], &three).mean - 2.0).abs() < 1e-9);
    }

    #[test]
    fn sizes_that_are_a_range_are_compared_by_their_rows() {
        let of_rows = |mean: u64, ns: f64| RunTimes { rows: 100 * mean, ..told(64, 100, ns) };
        let others = [of_rows(40, 40_000.0)];
        assert!((ratio(&[of_rows(60, 60_000.0)], &others).mean - 1.0).abs() < 1e-9);
        assert!((ratio(&[of_rows(35, 80_000.0)], &others).mean - 2.0).abs() < 1e-9);
    }

    #[test]
    fn each_worker_is_compared_with_itself() {
        let workers = ["fast", "slow"].map(|name| name.parse::<WorkerId>().unwrap());
        let (mut tried, mut others) = (Runs::default(), Runs::default());
        for (worker, ns) in workers.iter().zip([1_000.0, 3_000.0]) {
            tried.add(worker, &[told(1, 100, ns)]);
        }
        others.add(&workers[0], &[told(1, 1_000, 1_000.0)]);
        others.add(&workers[1], &[told(1, 10, 3_000.0)]);
        let ratio = tried.ratio_to(&others, Z).unwrap();
        assert!((ratio.mean - 1.0).abs() < 1e-9 && ratio.runs == 200, "{ratio:?}");
    }

    #[test]
    fn cold_runs_are_compared_with_cold_ones() {
        let cold = |times: RunTimes| RunTimes { is_cold: true, ..times };
        let others = [told(1, 900, 1_000.0), cold(told(1, 50, 3_000.0))];
        assert!((ratio(&[cold(told(1, 50, 3_000.0))], &others).mean - 1.0).abs() < 1e-9);
        assert!((ratio(&[told(1, 50, 3_000.0)], &others).mean - 3.0).abs() < 1e-9);
        assert!(runs(&[cold(told(1, 50, 3_000.0))]).ratio_to(&runs(&others[..1]), Z).is_none());
    }

    #[test]
    fn two_sizes_beside_one_do_not_count_its_chance_twice() {
        let ratio = ratio(&[told(1, 50, 1_000.0), told(2, 50, 1_000.0)], &[told(4, 50, 1_000.0)]);
        let error = 1.1_f64.ln().powi(2) * (0.25 / 49.0 + 0.25 / 49.0 + 1.0 / 49.0);
        assert!((ratio.low - (-Z * error.sqrt()).exp()).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn too_few_runs_and_sums_that_cannot_be_tell_nothing() {
        let enough = [told(4, 30, 1_000.0)];
        assert!(runs(&[told(4, 29, 1_000.0)]).ratio_to(&runs(&enough), Z).is_none());
        assert!(runs(&enough).ratio_to(&runs(&[told(4, 29, 1_000.0)]), Z).is_none());
        let scattered: Vec<_> = (1..=16).map(|size| told(size, 4, 1_000.0)).collect();
        assert!(runs(&scattered).ratio_to(&runs(&enough), Z).is_none());
        assert!(Runs::default().ratio_to(&Runs::default(), Z).is_none());
        let good = enough[0];
        for wrong in [
            RunTimes { log_sum: f64::NAN, ..good },
            RunTimes { log_squares: f64::INFINITY, ..good },
            RunTimes { log_squares: 0.0, ..good },
            RunTimes { log_squares: 1e308, ..good },
            RunTimes { log_sum: -1.0, log_squares: 1.0, ..good },
            RunTimes { log_sum: 45.0 * 30.0, log_squares: 45.0 * 45.0 * 30.0, ..good },
            RunTimes { count: 0, ..good },
            RunTimes { rows: 29, ..good },
            RunTimes { rows: 121, ..good },
            RunTimes { size: 0, ..good },
            RunTimes { size: 33, ..good },
        ] {
            assert!(runs(&[wrong]).ratio_to(&runs(&enough), Z).is_none(), "{wrong:?}");
            assert_eq!(ratio(&[good, wrong], &enough).mean, 1.0, "{wrong:?}");
        }
    }
}
