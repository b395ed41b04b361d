//! One canary beside the others.

use std::collections::BTreeSet;

use leat_contract::{Canary, Deployment, ErrorCode, ModelVersion, RolloutEnd, WorkerId};
use leat_statistics::{
    LatencyHistogram, Sample, Share, difference_interval, mean_difference_interval, wilson_interval,
};

use super::runs::{Ratio, Runs};
use crate::report::VersionReport;

/// The normal quantile of a two-sided 99.9 % interval. Stricter than the usual 95 %, because a verdict may fall after every
/// window, and looking often at a 95 % interval finds a difference where there is none.
const Z: f64 = 3.290_526_731_491_926;
/// Windows after a change in which nothing is counted: what workers tell then is partly about the time before it.
const SETTLING: u32 = 2;
/// What cannot be loaded is tried again; a canary that still cannot after so long will not be.
const LOADABLE_WITHIN_MS: u64 = 60_000;
/// Requests above the 99th percentile.
const SLOW: f64 = 0.01;

/// How well a version did by its latest labels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scored {
    /// Rows with a class.
    pub(crate) rows: u64,
    /// Of them, those whose class was right.
    pub(crate) correct: u64,
    /// The absolute errors of numbers, each the mean of one request.
    pub(crate) errors: Sample,
}

/// What was counted of a canary and of the others since the deployment has its revision.
#[derive(Debug)]
pub(super) struct Trial {
    canary: Canary,
    revision: u64,
    /// The others: who answers only when it is named has other requests.
    live: BTreeSet<ModelVersion>,
    tried: Figures,
    others: Figures,
    /// What the others' requests are in the model.
    others_compute: LatencyHistogram,
    runs: Runs,
    /// Windows until counting begins.
    settling: u32,
    /// Since when no worker can load it.
    unloadable_since: Option<u64>,
    /// The last verdict and the windows in a row that gave it.
    verdict: Option<(RolloutEnd, u32)>,
}

#[derive(Debug)]
struct Figures {
    requests: u64,
    failed: u64,
    latency: LatencyHistogram,
}

/// What a comparison says.
enum Finding {
    Worse(String),
    Fine,
    Open,
}

impl Trial {
    pub(super) fn new(canary: &Canary, deployment: &Deployment, revision: u64) -> Self {
        let figures = || Figures { requests: 0, failed: 0, latency: LatencyHistogram::new() };
        let live = deployment.routes.iter().filter(|route| route.weight > 0);
        Self {
            canary: canary.clone(),
            revision,
            live: live.map(|route| route.version).filter(|version| *version != canary.version).collect(),
            tried: figures(),
            others: figures(),
            others_compute: LatencyHistogram::new(),
            runs: Runs::default(),
            settling: SETTLING,
            unloadable_since: None,
            verdict: None,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn requests(&self) -> u64 {
        self.tried.requests
    }

    pub(super) fn hear(&mut self, worker: &WorkerId, report: &VersionReport<'_>) {
        let version = report.told.version;
        let is_tried = version == self.canary.version;
        if self.settling > 0 || !(is_tried || self.live.contains(&version)) {
            return;
        }
        let figures = if is_tried { &mut self.tried } else { &mut self.others };
        if figures.add(report).is_err() {
            return;
        }
        self.runs.hear(is_tried, worker, &report.told.runs);
        if !is_tried && self.others_compute.merge(&report.compute).is_err() {
            tracing::debug!(%worker, %version, "times in the model that cannot be added");
        }
    }

    /// Ends a window, whether it is judged or not.
    pub(super) fn close(&mut self) {
        self.runs.close(self.canary.latency_increase_max);
    }

    /// What it means that no worker can load it.
    pub(super) fn unloadable(&mut self, why: &str, now: u64) -> Option<(RolloutEnd, String)> {
        let since = *self.unloadable_since.get_or_insert(now);
        let is_over = now.saturating_sub(since) >= LOADABLE_WITHIN_MS;
        is_over.then(|| (RolloutEnd::RolledBack, format!("no worker can load it: {why}")))
    }

    /// What the figures say now.
    pub(super) fn judge(
        &mut self,
        scored: impl Fn(ModelVersion) -> Scored,
        now: u64,
    ) -> Option<(RolloutEnd, String)> {
        self.unloadable_since = None;
        self.settling = self.settling.saturating_sub(1);
        let enough = |requests: u64| self.tried.requests >= requests && self.others.requests >= requests;
        if !enough(self.canary.requests_min.div_ceil(2)) {
            return None;
        }
        let promote_after_ms = u64::from(self.canary.promote_after_s) * 1000;
        let due = self.canary.since.saturating_add(promote_after_ms);
        let is_patient = now < due.saturating_add(promote_after_ms);
        let findings = [self.errors(), self.runs(is_patient), self.latency(), self.accuracy(scored)];
        let mut is_open = false;
        for finding in findings {
            match finding {
                Finding::Worse(reason) => return Some((RolloutEnd::RolledBack, reason)),
                Finding::Open => is_open = true,
                Finding::Fine => {}
            }
        }
        let is_proven = !is_open && now >= due && enough(self.canary.requests_min);
        is_proven.then(|| {
            let reason = format!("nothing speaks against it after {} requests", self.tried.requests);
            (RolloutEnd::Promoted, reason)
        })
    }

    /// Takes the verdict of one window; gives it when it has been the same for so many.
    pub(super) fn settle(
        &mut self,
        verdict: Option<(RolloutEnd, String)>,
        windows: u32,
    ) -> Option<(RolloutEnd, String)> {
        let (end, reason) = match verdict {
            Some(verdict) => verdict,
            None => {
                self.verdict = None;
                return None;
            }
        };
        let before = self.verdict.filter(|(last, _)| *last == end).map_or(0, |(_, windows)| windows);
        // It begins again in case that the decision cannot be written.
        self.verdict = (before + 1 < windows).then_some((end, before + 1));
        (before + 1 >= windows).then_some((end, reason))
    }

    fn errors(&self) -> Finding {
        let share = |figures: &Figures| Share { successes: figures.failed, trials: figures.requests };
        let (tried, others) = (share(&self.tried), share(&self.others));
        let reason = || {
            let (failed, all) = (tried.successes, tried.trials);
            format!(
                "{failed} of {all} requests failed, {} of {} with the others",
                others.successes, others.trials
            )
        };
        increase(tried, others, self.canary.error_increase_max, reason)
    }

    /// Counts what took longer than the 99th percentile of the others may become: of a canary that is as fast, it is 1 %. With fewer
    /// requests than theirs, which run together, it waits for one of their runs, and they hardly ever for its runs: that comes on top.
    fn latency(&self) -> Finding {
        let Some(p99_ns) = self.others.latency.quantile(1.0 - SLOW) else { return Finding::Open };
        let limit_ns = (p99_ns as f64 * (1.0 + self.canary.latency_increase_max)) as u64;
        let is_alone = self.tried.requests < self.others.requests;
        let run_ns = self.others_compute.quantile(0.5).filter(|_| is_alone).unwrap_or_default();
        let limit_ns = limit_ns.saturating_add(run_ns);
        let trials = self.tried.latency.count();
        let slow = trials.saturating_sub(self.tried.latency.count_at_most(limit_ns));
        let Some(interval) = wilson_interval(slow, trials, Z) else { return Finding::Open };
        if interval.low > SLOW {
            let limit_ms = limit_ns as f64 / 1e6;
            return Finding::Worse(format!(
                "{slow} of {trials} requests took longer than {limit_ms:.3} ms, which 99 % of the others' do not by far"
            ));
        }
        if slow as f64 <= SLOW * trials as f64 { Finding::Fine } else { Finding::Open }
    }

    /// Compares what runs take, because whole requests do not show it where the versions share workers: the others wait behind the runs
    /// of a slow canary and are as slow. Without runs that can be compared it says nothing against the canary; with too few it waits for more,
    /// as long as there is patience.
    fn runs(&self, is_patient: bool) -> Finding {
        let all = self.runs.ratio(Z);
        let is_worse = |ratio: &Ratio| ratio.low > ratio.limit;
        if let Some(Ratio { mean, usual_ns, runs, .. }) =
            all.into_iter().chain(self.runs.ratios(Z)).find(is_worse)
        {
            let (ms, usual_ms) = (mean * usual_ns / 1e6, usual_ns / 1e6);
            return Finding::Worse(format!(
                "its runs took {mean:.3} times as long as those of the others that are most alike, {ms:.3} ms instead of {usual_ms:.3} ms, in {runs} runs"
            ));
        }
        let is_fine = match all {
            Some(all) => all.mean <= all.limit,
            None => !(is_patient && self.runs.has_begun()),
        };
        if is_fine { Finding::Fine } else { Finding::Open }
    }

    fn accuracy(&self, scored: impl Fn(ModelVersion) -> Scored) -> Finding {
        let others = self.live.iter().map(|version| scored(*version)).fold(Scored::default(), Scored::add);
        let tried = scored(self.canary.version);
        let has_enough = |scored: &Scored| scored.labels() >= self.canary.labels_min;
        if !(has_enough(&tried) && has_enough(&others)) {
            return if self.canary.needs_labels { Finding::Open } else { Finding::Fine };
        }
        if tried.errors.count() > 0 {
            return self.deviation(tried.errors, others.errors);
        }
        let wrong = |scored: Scored| Share { successes: scored.rows - scored.correct, trials: scored.rows };
        let reason = || {
            let of = |scored: &Scored| format!("{} of {} rows", scored.correct, scored.rows);
            format!("it was right on {}, the others on {}", of(&tried), of(&others))
        };
        increase(wrong(tried), wrong(others), self.canary.accuracy_drop_max, reason)
    }

    /// Compares mean absolute errors: that of the canary may be larger by a share of that of the others.
    fn deviation(&self, tried: Sample, others: Sample) -> Finding {
        let factor = 1.0 + self.canary.accuracy_drop_max;
        let interval = mean_difference_interval(tried, others, factor, Z);
        let (Some(interval), Some(mean), Some(usual)) = (interval, tried.mean(), others.mean()) else {
            return Finding::Open;
        };
        if interval.low > 0.0 {
            let (count, more) = (tried.count(), others.count());
            // Four digits say enough.
            let [mean, usual] =
                [mean, usual].map(|value| format!("{value:.3e}").parse::<f64>().unwrap_or(value));
            return Finding::Worse(format!(
                "its mean absolute error was {mean} in {count} requests with labels, that of the others {usual} in {more}"
            ));
        }
        if mean <= factor * usual { Finding::Fine } else { Finding::Open }
    }
}

impl Figures {
    fn add(&mut self, report: &VersionReport<'_>) -> Result<(), leat_statistics::Error> {
        let told = report.told;
        // Refusals at the door are no version's fault; they are counted with the one that has the largest share.
        let is_of_version =
            |code: &ErrorCode| !matches!(code, ErrorCode::Overloaded | ErrorCode::Unavailable);
        let (mut failed, mut refused) = (0_u64, 0_u64);
        for (code, count) in &told.errors {
            let sum = if is_of_version(code) { &mut failed } else { &mut refused };
            *sum = sum.saturating_add(*count);
        }
        self.latency.merge(&report.latency)?;
        self.requests = self.requests.saturating_add(told.requests.saturating_sub(refused));
        self.failed = self.failed.saturating_add(failed).min(self.requests);
        Ok(())
    }
}

impl Scored {
    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            correct: self.correct + other.correct,
            errors: self.errors.merge(other.errors),
        }
    }

    /// Labels that say how well it did: of rows with a class, or of requests for numbers.
    fn labels(&self) -> u64 {
        self.rows.max(self.errors.count())
    }
}

/// Whether the first share is larger than the second by more than is allowed.
fn increase(first: Share, second: Share, increase_max: f64, reason: impl Fn() -> String) -> Finding {
    let Some(interval) = difference_interval(first, second, Z) else { return Finding::Open };
    let difference = first.ratio().unwrap_or_default() - second.ratio().unwrap_or_default();
    if interval.low > increase_max {
        Finding::Worse(reason())
    } else if difference <= increase_max {
        Finding::Fine
    } else {
        Finding::Open
    }
}
