//! How long the runs of a version take, beside runs of others that are alike: on the same worker, in the same window, of about as many rows,
//! and with the weights near, which only runs that workers repeated are alike. Otherwise a canary, whose runs stay small however busy a
//! worker is, would be compared with what others take when it is idle, and found slow because its weights had to come from memory while
//! others have theirs in the caches.

use std::collections::BTreeMap;
use std::ops::Add;

use leat_contract::{BatchFigures, RunTimes, WorkerId};
use leat_statistics::Sample;

/// Runs that are alike may differ by so much for other reasons than the version.
const UNLIKE: f64 = 0.1;
/// Runs may take so much longer: about as long as a request is on its way over the broker, so that nobody would notice it.
const UNNOTICED_NS: f64 = 100_000.0;
/// Runs that are needed on both sides for a normal interval.
const RUNS_MIN: u64 = 30;
/// Runs of a size that are needed on both sides for its variance.
const RUNS_OF_SIZE_MIN: u64 = 10;
/// The logarithm of the most nanoseconds that can be told.
const LOG_MAX: f64 = 44.361_419_555_836_5;

/// What was compared of a version since it is tried.
#[derive(Debug, Default)]
pub(super) struct Runs {
    tried: Side,
    others: Side,
    /// Sizes that others ran too.
    same: BTreeMap<Size, Compared>,
    /// Sizes that were compared with the nearest of the others, from which no more follows than how long they may take.
    near: BTreeMap<Size, Compared>,
}

/// What is told of a version, or of all others.
#[derive(Debug, Default)]
struct Side {
    /// In this window, by each worker.
    window: BTreeMap<WorkerId, BTreeMap<Size, Logs>>,
    /// In all windows, for how far runs of a size differ among themselves.
    all: BTreeMap<Size, Sample>,
}

/// Runs have at most so many rows and more than half: a power of two, so that there are few sizes with enough runs each.
type Size = u64;

/// The runs of a size.
#[derive(Clone, Copy, Debug, Default)]
struct Logs {
    rows: u64,
    /// The logarithms of their nanoseconds.
    logs: Sample,
}

/// Sums over the windows in which a size was compared.
#[derive(Debug, Default)]
struct Compared {
    runs: u64,
    /// The sums of the logarithms of what others take for the like, of how much longer the runs took, and of how much longer they may.
    usual: f64,
    log: f64,
    granted: f64,
    /// By what the variances of the sizes of the others count.
    theirs: BTreeMap<Size, f64>,
}

/// Sums over sizes.
#[derive(Debug, Default)]
struct Total {
    runs: u64,
    usual: f64,
    log: f64,
    granted: f64,
    /// The standard error of `log`.
    error: f64,
    /// What that would be if all logarithms of the others had a variance of 1 and those of the version none: by how many of the others
    /// it is seen.
    unit_error: f64,
}

/// What others take for a run, at most.
#[derive(Clone, Copy, Debug)]
struct Usual {
    /// The size of their runs, and how many there were.
    size: Size,
    runs: u64,
    log: f64,
}

/// How many times as long as others runs took, by geometric means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) mean: f64,
    /// The lower end of its interval.
    pub(super) low: f64,
    /// What it may be.
    pub(super) limit: f64,
    /// What others take, in nanoseconds.
    pub(super) usual_ns: f64,
    /// The runs it is seen in.
    pub(super) runs: u64,
}

impl Runs {
    /// Takes what a worker told of the version, or of others. What cannot be is passed over.
    pub(super) fn hear(&mut self, is_tried: bool, worker: &WorkerId, told: &[RunTimes]) {
        let side = if is_tried { &mut self.tried } else { &mut self.others };
        told.iter().filter_map(read).for_each(|(size, logs)| side.hear(worker, size, logs));
    }

    /// Ends a window. Runs may take longer by a share of what others take.
    pub(super) fn close(&mut self, increase_max: f64) {
        let mut others = std::mem::take(&mut self.others.window);
        // How far rare sizes differ among themselves nobody knows.
        let is_known =
            |size: &Size| self.others.all.get(size).is_some_and(|all| all.count() >= RUNS_OF_SIZE_MIN);
        others.values_mut().for_each(|sizes| sizes.retain(|size, _| is_known(size)));
        for (worker, sizes) in std::mem::take(&mut self.tried.window) {
            let Some(others) = others.get(&worker) else { continue };
            for (size, runs) in sizes {
                let Some(usual) = usual(others, size, runs.mean_rows()) else { continue };
                let compared = if usual.size == size { &mut self.same } else { &mut self.near };
                compared.entry(size).or_default().add(&runs.logs, usual, increase_max);
            }
        }
    }

    /// How all that could be compared does; none when that was too little. What has the same size counts alone as soon as it suffices.
    pub(super) fn ratio(&self, z: f64) -> Option<Ratio> {
        let mut total = Total::default();
        for (size, compared) in &self.same {
            total.add(compared, self.error(size, compared), f64::hypot);
        }
        if !total.is_enough() {
            // That they may take longer than they do says nothing. Several sizes may have been compared with one, so that their chances
            // need not be independent.
            for (size, compared) in self.near.iter().filter(|(_, compared)| compared.log > 0.0) {
                total.add(compared, self.error(size, compared), f64::add);
            }
        }
        total.ratio(z)
    }

    /// Whether a few runs were compared that might come to something.
    pub(super) fn has_begun(&self) -> bool {
        !self.same.is_empty() || self.near.values().any(|compared| compared.log > 0.0)
    }

    /// How each size that others ran too does: many small runs hide no slow large ones.
    pub(super) fn ratios(&self, z: f64) -> impl Iterator<Item = Ratio> {
        self.same.iter().filter_map(move |(size, compared)| {
            let mut total = Total::default();
            total.add(compared, self.error(size, compared), f64::hypot);
            total.ratio(z)
        })
    }

    /// The standard error of the sum of the logarithms. None while a size has so few runs that it says nothing about how they differ.
    fn error(&self, size: &Size, compared: &Compared) -> Option<f64> {
        let variance = |side: &Side, size| {
            side.all.get(size).filter(|sample| sample.count() >= RUNS_OF_SIZE_MIN)?.variance()
        };
        let ours = compared.runs as f64 * variance(&self.tried, size)?;
        let theirs = compared.theirs.iter();
        let squared = theirs
            .map(|(size, weight)| Some(weight * variance(&self.others, size)?))
            .try_fold(ours, |sum, more| Some(sum + more?));
        squared.map(f64::sqrt)
    }
}

impl Side {
    fn hear(&mut self, worker: &WorkerId, size: Size, told: Logs) {
        let sizes = match self.window.get_mut(worker) {
            Some(sizes) => sizes,
            None => self.window.entry(worker.clone()).or_default(),
        };
        let sum = sizes.entry(size).or_default();
        sum.rows = sum.rows.saturating_add(told.rows);
        sum.logs = sum.logs.merge(told.logs);
        let all = self.all.entry(size).or_default();
        *all = all.merge(told.logs);
    }
}

impl Compared {
    /// Adds the runs of a window beside those of others.
    fn add(&mut self, logs: &Sample, usual: Usual, increase_max: f64) {
        let count = logs.count() as f64;
        let unnoticed = UNNOTICED_NS / usual.log.exp();
        self.runs = self.runs.saturating_add(logs.count());
        self.usual += count * usual.log;
        self.log += logs.sum() - count * usual.log;
        self.granted += count * increase_max.max(UNLIKE).max(unnoticed).ln_1p();
        *self.theirs.entry(usual.size).or_default() += count * count / usual.runs as f64;
    }
}

impl Total {
    /// Adds a size whose error can be told, and joins that to the error of the others.
    fn add(&mut self, size: &Compared, error: Option<f64>, join: fn(f64, f64) -> f64) {
        let Some(error) = error else { return };
        self.runs = self.runs.saturating_add(size.runs);
        self.usual += size.usual;
        self.log += size.log;
        self.granted += size.granted;
        self.error = join(self.error, error);
        self.unit_error = join(self.unit_error, size.theirs.values().sum::<f64>().sqrt());
    }

    fn is_enough(&self) -> bool {
        let beside = (self.runs as f64 / self.unit_error).powi(2);
        self.runs >= RUNS_MIN && beside >= RUNS_MIN as f64
    }

    fn ratio(&self, z: f64) -> Option<Ratio> {
        let mean = |sum: f64| sum / self.runs as f64;
        let (log, error) = (mean(self.log), z * mean(self.error));
        self.is_enough().then(|| Ratio {
            mean: log.exp(),
            low: (log - error).exp(),
            limit: mean(self.granted).exp(),
            usual_ns: mean(self.usual).exp(),
            runs: self.runs,
        })
    }
}

impl Logs {
    fn mean_rows(&self) -> f64 {
        self.rows as f64 / self.logs.count() as f64
    }

    /// What a run with so many rows should take at most: no longer than these if it has fewer, and no longer than these per row if it has
    /// more.
    fn usual(&self, size: Size, rows: f64) -> Option<Usual> {
        let log = self.logs.mean()? + (rows / self.mean_rows()).max(1.0).ln();
        Some(Usual { size, runs: self.logs.count(), log })
    }
}

/// What a run takes by others of the same size; without any by the next larger or the next smaller one, whichever says more.
fn usual(others: &BTreeMap<Size, Logs>, size: Size, rows: f64) -> Option<Usual> {
    let by = |(other, runs): (&Size, &Logs)| runs.usual(*other, rows);
    if let Some(same) = others.get_key_value(&size) {
        return by(same);
    }
    let smaller = others.range(..size).next_back().and_then(by);
    let larger = others.range(size..).next().and_then(by);
    smaller.into_iter().chain(larger).max_by(|one, other| one.log.total_cmp(&other.log))
}

/// Takes repeats. A logarithm is neither negative nor of more than can be told.
fn read(told: &RunTimes) -> Option<(Size, Logs)> {
    let &RunTimes { size, is_repeat, count, rows, log_sum, log_squares, is_cold: _ } = told;
    let is_size = is_repeat && size > 0 && BatchFigures::size_of(size) == size;
    let [least, most] = BatchFigures::rows_under(size).map(|rows| rows.saturating_mul(count));
    let has_rows = count > 0 && (least..=most).contains(&rows);
    let is_possible = log_sum >= 0.0 && log_sum <= LOG_MAX * count as f64 && log_squares <= LOG_MAX * log_sum;
    let logs = Sample::from_sums(count, log_sum, log_squares)?;
    let size = size.checked_next_power_of_two()?;
    (is_size && has_rows && is_possible).then_some((size, Logs { rows, logs }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: f64 = 3.0;
    const INCREASE: f64 = 0.5;

    /// Runs of a size that take about so long: a tenth more or less in turns.
    fn told(size: u64, count: u64, ns: f64) -> RunTimes {
        let logs = (0..count).map(|run| (ns * if run % 2 == 0 { 1.1 } else { 1.0 / 1.1 }).ln());
        let logs = logs.collect::<Sample>();
        RunTimes {
            size,
            is_repeat: true,
            is_cold: false,
            count,
            rows: size * count,
            log_sum: logs.sum(),
            log_squares: logs.squares(),
        }
    }

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    /// After one window on one worker.
    fn judged(tried: &[RunTimes], others: &[RunTimes]) -> Option<Ratio> {
        let mut runs = Runs::default();
        runs.hear(true, &worker("one"), tried);
        runs.hear(false, &worker("one"), others);
        runs.close(INCREASE);
        runs.ratio(Z)
    }

    fn ratio(tried: &[RunTimes], others: &[RunTimes]) -> Ratio {
        judged(tried, others).unwrap()
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
        // For one row twice what the others take for 16.
        assert!((ratio(&[told(1, 100, 64_000.0)], &others).mean - 2.0).abs() < 1e-9);
        assert!(
            judged(&[told(1, 100, 31_000.0)], &others).is_none(),
            "it may be slower than they are for one row"
        );
        // Four times as many rows in eight times the time.
        assert!((ratio(&[told(64, 100, 256_000.0)], &others).mean - 2.0).abs() < 1e-9);
        // The nearest ones count, and of them the one that allows more: 9 µs by the larger, 16 µs by twice the smaller.
        let three = [told(4, 100, 8_000.0), told(16, 100, 9_000.0), told(64, 100, 36_000.0)];
        assert!((ratio(&[told(8, 100, 32_000.0)], &three).mean - 2.0).abs() < 1e-9);
    }

    #[test]
    fn what_may_take_long_hides_nothing() {
        // Small runs are as quick as they should be, and the others have none; the large ones take three times as long.
        let tried = [told(1, 800, 3_000.0), told(16, 25, 48_000.0)];
        assert!((ratio(&tried, &[told(16, 1_000, 16_000.0), told(1, 40, 3_000.0)]).mean - 1.0).abs() < 0.1);
        assert!(judged(&tried, &[told(16, 1_000, 16_000.0)]).is_none(), "so few are not enough");
        let more = [told(1, 800, 3_000.0), told(16, 30, 48_000.0)];
        assert!((ratio(&more, &[told(16, 1_000, 16_000.0)]).mean - 3.0).abs() < 1e-9);
    }

    #[test]
    fn many_runs_beside_few_say_no_more_than_the_few() {
        let tried = [told(1, 100, 4_000.0), told(8, 30, 4_000.0)];
        assert!(judged(&tried[..1], &[told(1, 29, 1_000.0)]).is_none());
        assert!(judged(&tried, &[told(1, 29, 1_000.0), told(8, 30, 1_000.0)]).is_some());
        // There are 42 of the others, but most of what they say is said by 12.
        assert!(judged(&tried, &[told(1, 12, 1_000.0), told(8, 30, 1_000.0)]).is_none());
        // Three sizes beside the same ten runs are not beside thirty.
        let three = [told(1, 10, 4_000.0), told(2, 10, 4_000.0), told(3, 10, 4_000.0)];
        assert!(judged(&three, &[told(16, 10, 1_000.0)]).is_none());
        assert!(judged(&three, &[told(16, 30, 1_000.0)]).is_some());
    }

    #[test]
    fn a_size_that_was_run_a_few_times_silences_no_other() {
        let others = [told(1, 100, 1_000.0), told(2, 1, 1_000.0), told(4, 9, 1_000.0)];
        let ratio = ratio(&[told(1, 100, 2_000.0), told(2, 1, 2_000.0), told(4, 9, 2_000.0)], &others);
        assert!((ratio.mean - 2.0).abs() < 1e-9 && ratio.runs == 100, "{ratio:?}");
    }

    #[test]
    fn the_nearest_size_is_one_that_others_have_enough_of() {
        let ratio = ratio(&[told(1, 50, 9_000.0)], &[told(2, 9, 1_000.0), told(4, 50, 3_000.0)]);
        assert!((ratio.mean - 3.0).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn a_window_is_compared_with_itself() {
        let mut runs = Runs::default();
        // In a quiet time the others have many small runs, in a busy one few, and the canary as many in both.
        for (others, ns) in [(900, 1_000.0), (10, 2_000.0)] {
            runs.hear(true, &worker("one"), &[told(1, 100, ns)]);
            runs.hear(false, &worker("one"), &[told(1, others, ns)]);
            runs.close(INCREASE);
        }
        runs.hear(true, &worker("one"), &[told(1, 100, 1e9)]);
        runs.close(INCREASE);
        let ratio = runs.ratio(Z).unwrap();
        assert!((ratio.mean - 1.0).abs() < 1e-9 && ratio.runs == 200, "{ratio:?}");
        assert!(ratio.low < 1.0);
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
        let mut runs = Runs::default();
        for (name, others, ns) in [("fast", 1_000, 1_000.0), ("slow", 10, 3_000.0)] {
            runs.hear(true, &worker(name), &[told(1, 100, ns)]);
            runs.hear(false, &worker(name), &[told(1, others, ns)]);
        }
        runs.close(INCREASE);
        let ratio = runs.ratio(Z).unwrap();
        assert!((ratio.mean - 1.0).abs() < 1e-9 && ratio.runs == 200, "{ratio:?}");
    }

    #[test]
    fn runs_that_are_no_repeats_tell_nothing() {
        let first = |times: RunTimes| RunTimes { is_repeat: false, is_cold: true, ..times };
        let others = [told(1, 900, 1_000.0), first(told(1, 50, 3_000.0))];
        let tried = [told(1, 40, 1_000.0), first(told(1, 500, 9_000.0))];
        let ratio = ratio(&tried, &others);
        assert!((ratio.mean - 1.0).abs() < 1e-9 && ratio.runs == 40, "{ratio:?}");
        assert!(judged(&tried[1..], &others).is_none());
    }

    #[test]
    fn many_short_runs_hide_no_long_ones() {
        let mut runs = Runs::default();
        let others = [told(1, 900, 10_000.0), told(1024, 100, 5e7)];
        let tried =
            others.map(|runs| told(runs.size, runs.count, 4.0 * (runs.log_sum / runs.count as f64).exp()));
        runs.hear(true, &worker("one"), &tried);
        runs.hear(false, &worker("one"), &others);
        runs.close(INCREASE);
        let all = runs.ratio(Z).unwrap();
        assert!(all.mean < all.limit, "10 µs may become 110: {all:?}");
        let [short, long] = runs.ratios(Z).collect::<Vec<_>>()[..] else { panic!("two sizes") };
        assert!((short.limit - 11.0).abs() < 1e-9 && short.mean < short.limit, "{short:?}");
        assert!((long.limit - 1.5).abs() < 1e-9 && long.low > long.limit, "{long:?}");
    }

    #[test]
    fn sizes_up_to_a_power_of_two_are_one() {
        let tried = [told(5, 10, 10_000.0), told(6, 10, 12_000.0), told(8, 10, 16_000.0)];
        let others = [told(5, 10, 5_000.0), told(6, 10, 6_000.0), told(8, 10, 8_000.0)];
        assert!((ratio(&tried, &others).mean - 2.0).abs() < 1e-9);
        assert!(judged(&tried[..2], &others).is_none());
    }

    #[test]
    fn two_sizes_beside_one_do_not_count_its_chance_twice() {
        let ratio = ratio(&[told(1, 50, 2_000.0), told(2, 50, 2_000.0)], &[told(4, 50, 1_000.0)]);
        // Each sum has a squared error of 50² (s² / 50 + s² / 50), and both may err together.
        let error = 0.2 * 1.1_f64.ln() * (50.0_f64 / 49.0).sqrt();
        assert!((ratio.low - 2.0 * (-Z * error).exp()).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn too_few_runs_and_sums_that_cannot_be_tell_nothing() {
        let enough = [told(4, 30, 1_000.0)];
        assert!(judged(&[told(4, 29, 1_000.0)], &enough).is_none());
        assert!(judged(&enough, &[told(4, 29, 1_000.0)]).is_none());
        assert!(judged(&[], &[]).is_none());
        let good = enough[0];
        for wrong in [
            RunTimes { log_sum: f64::NAN, ..good },
            RunTimes { log_squares: f64::INFINITY, ..good },
            RunTimes { log_squares: 0.0, ..good },
            RunTimes { log_squares: 1e308, ..good },
            RunTimes { log_sum: -1.0, log_squares: 1.0, ..good },
            RunTimes { log_sum: 45.0 * 30.0, log_squares: 45.0 * 45.0 * 30.0, ..good },
            RunTimes { count: 0, ..good },
            RunTimes { rows: 119, ..good },
            RunTimes { rows: 121, ..good },
            RunTimes { size: 64, rows: 960, ..good },
            RunTimes { size: 0, ..good },
            RunTimes { size: 33, ..good },
        ] {
            assert!(judged(&[wrong], &enough).is_none(), "{wrong:?}");
            assert_eq!(ratio(&[good, wrong], &enough).mean, 1.0, "{wrong:?}");
        }
    }
}
