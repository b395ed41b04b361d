use leat_contract::{Canary, Digest, ModelTelemetry, Route, RunTimes};
use leat_statistics::LatencyHistogram;

use super::*;

const SINCE: u64 = 1_000;
/// The time of the default policy is over.
const LATE: u64 = SINCE + 600_000;

fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).unwrap()
}

fn deployment(canary: Canary) -> Deployment {
    let route = |number, weight| {
        let digest = Digest::new(format!("sha256-{number:064x}")).unwrap();
        Route { version: version(number), digest, weight }
    };
    let routes = vec![route(1, 90), route(2, 10), route(3, 0)];
    let mut deployment = Deployment::new("digits".parse().unwrap(), routes);
    deployment.canary = Some(canary);
    deployment
}

/// Requests of which some failed, and what each took.
struct Traffic {
    requests: u64,
    failed: u64,
    latency_us: u64,
    /// Of a run, where every request has its own; it may take a tenth more.
    run_ns: u64,
}

const GOOD: Traffic = Traffic { requests: 1000, failed: 0, latency_us: 1000, run_ns: 5_000_000 };

struct Bench {
    canaries: Canaries,
    deployment: Deployment,
    revision: u64,
    unloadable: Option<&'static str>,
    /// How well version 3 did, which answers only when it is named.
    named: Scored,
}

impl Bench {
    fn new(canary: Canary) -> Self {
        let canaries = Canaries::new(2);
        let (deployment, named) = (deployment(canary), Scored::default());
        let mut bench = Self { canaries, deployment, revision: 5, unloadable: None, named };
        bench.tell(2, &Traffic { failed: 1000, ..GOOD });
        assert!(bench.settled(SINCE, Scored::default()).is_none(), "that was before the change");
        bench
    }

    fn tell(&mut self, number: u32, traffic: &Traffic) {
        let (mut latency, mut compute) = (LatencyHistogram::new(), LatencyHistogram::new());
        (0..traffic.requests).for_each(|request| latency.record((traffic.latency_us + request % 50) * 1000));
        let runs =
            (0..traffic.requests).map(|request| traffic.run_ns + traffic.run_ns * (request % 500) / 5000);
        runs.clone().for_each(|ns| compute.record(ns));
        let logs = runs.map(|ns| (ns as f64).ln());
        let times = RunTimes {
            size: 1,
            is_cold: false,
            is_repeat: true,
            count: traffic.requests,
            rows: traffic.requests,
            log_sum: logs.clone().sum(),
            log_squares: logs.map(|log| log * log).sum(),
        };
        let told = ModelTelemetry {
            model: self.deployment.model.clone(),
            version: version(number),
            requests: traffic.requests,
            rows: traffic.requests - traffic.failed,
            batches: 1,
            errors: BTreeMap::from([(leat_contract::ErrorCode::Internal, traffic.failed)]),
            inflight: 0,
            queued: 0,
            latency: Vec::new(),
            queue: Vec::new(),
            compute: Vec::new(),
            shadow: None,
            cache: None,
            runs: vec![times],
        };
        let queue = LatencyHistogram::new();
        self.canaries
            .hear(&"worker-1".parse().unwrap(), &VersionReport { told: &told, latency, queue, compute });
    }

    /// Both versions answer, then the canary is judged by two windows.
    fn after(&mut self, others: &Traffic, tried: &Traffic, now: u64) -> Option<Decision> {
        self.tell(1, others);
        self.tell(2, tried);
        self.settled(now, Scored::default())
    }

    fn settled(&mut self, now: u64, tried: Scored) -> Option<Decision> {
        assert!(self.judge(now, tried).is_none(), "one window decides nothing");
        self.judge(now, tried)
    }

    fn judge(&mut self, now: u64, tried: Scored) -> Option<Decision> {
        let others = if tried.errors.count() > 0 { numbers(400, 1.0) } else { classes(1000, 950) };
        let named = self.named;
        let scored = |_: &ModelName, of: ModelVersion| match of.get() {
            1 => others,
            2 => tried,
            _ => named,
        };
        let desired = std::iter::once((&self.deployment, self.revision));
        self.canaries.close();
        self.canaries.judge(desired, scored, |_| self.unloadable, now).pop()
    }
}

fn classes(rows: u64, correct: u64) -> Scored {
    Scored { rows, correct, ..Scored::default() }
}

/// Absolute errors between nothing and twice a mean.
fn numbers(count: u64, mean: f64) -> Scored {
    let errors = (0..count).map(|number| mean * 2.0 * number as f64 / (count - 1) as f64).collect();
    Scored { errors, ..Scored::default() }
}

fn policy() -> Canary {
    Canary::new(version(2), SINCE)
}

#[test]
fn a_canary_that_does_as_well_is_promoted_when_its_time_has_come() {
    let mut bench = Bench::new(policy());
    assert!(bench.after(&GOOD, &GOOD, LATE - 1).is_none());
    let decision = bench.settled(LATE, Scored::default()).unwrap();
    assert_eq!((decision.end, decision.requests, decision.revision), (RolloutEnd::Promoted, 1000, 5));
}

#[test]
fn a_canary_that_no_worker_can_load_for_a_minute_is_rolled_back_without_any_request() {
    const MINUTE: u64 = 60_000;
    let mut bench = Bench::new(policy());
    let unloadable = |bench: &mut Bench, now| {
        bench.unloadable = Some("the model cannot be read");
        bench.judge(now, Scored::default())
    };
    assert!(unloadable(&mut bench, SINCE).is_none());
    assert!(unloadable(&mut bench, SINCE + MINUTE - 1).is_none());
    assert!(unloadable(&mut bench, SINCE + MINUTE).is_none(), "one window decides nothing");
    let decision = unloadable(&mut bench, SINCE + MINUTE + 1).unwrap();
    assert_eq!((decision.end, decision.requests), (RolloutEnd::RolledBack, 0));
    assert!(decision.reason.ends_with("can load it: the model cannot be read"), "{}", decision.reason);
    // It could be in between, so the minute begins again.
    let mut bench = Bench::new(policy());
    assert!(unloadable(&mut bench, SINCE).is_none());
    bench.unloadable = None;
    assert!(bench.judge(SINCE + MINUTE, Scored::default()).is_none());
    assert!(unloadable(&mut bench, SINCE + MINUTE + 1).is_none());
    assert!(unloadable(&mut bench, SINCE + MINUTE + 2).is_none());
}

#[test]
fn a_canary_with_too_few_requests_waits() {
    let mut bench = Bench::new(policy());
    let few = Traffic { requests: 999, ..GOOD };
    assert!(bench.after(&GOOD, &few, LATE).is_none());
    assert!(bench.after(&GOOD, &Traffic { requests: 1, ..GOOD }, LATE).is_some());
}

#[test]
fn a_canary_that_fails_more_often_is_rolled_back_before_its_time() {
    let mut bench = Bench::new(policy());
    let decision = bench.after(&GOOD, &Traffic { failed: 60, ..GOOD }, SINCE).unwrap();
    assert_eq!((decision.end, decision.version), (RolloutEnd::RolledBack, version(2)));
    assert!(decision.reason.contains("60 of 1000"), "{}", decision.reason);
}

#[test]
fn chance_rolls_nothing_back_and_promotes_nothing() {
    let mut bench = Bench::new(policy());
    // 1.5 % more failures are over the allowed 1 %, but so few requests do not show it.
    assert!(bench.after(&GOOD, &Traffic { failed: 15, ..GOOD }, LATE).is_none());
    // Enough of the same do.
    let decision = bench.after(
        &Traffic { requests: 100_000, ..GOOD },
        &Traffic { requests: 100_000, failed: 1_500, ..GOOD },
        LATE,
    );
    assert_eq!(decision.unwrap().end, RolloutEnd::RolledBack);
}

#[test]
fn a_canary_that_fails_as_often_as_the_others_is_not_to_blame() {
    let mut bench = Bench::new(policy());
    let bad = Traffic { failed: 200, ..GOOD };
    assert_eq!(bench.after(&bad, &bad, LATE).unwrap().end, RolloutEnd::Promoted);
}

#[test]
fn a_slower_canary_is_rolled_back() {
    let mut bench = Bench::new(policy());
    assert!(bench.after(&GOOD, &Traffic { latency_us: 1400, ..GOOD }, SINCE).is_none(), "allowed");
    let decision = bench.after(&GOOD, &Traffic { latency_us: 1700, ..GOOD }, SINCE).unwrap();
    assert_eq!(decision.end, RolloutEnd::RolledBack);
    assert!(decision.reason.contains("took longer"), "{}", decision.reason);
}

#[test]
fn a_canary_may_wait_for_one_run_of_the_others() {
    let mut bench = Bench::new(policy());
    let long_runs = Traffic { run_ns: 571_000, ..GOOD };
    let fewer = Traffic { requests: 900, ..long_runs };
    // What the others' 99th percentile of 1.049 ms may become and their runs of 0.6 ms are 2.174 ms.
    assert!(bench.after(&long_runs, &Traffic { latency_us: 2100, ..fewer }, SINCE).is_none());
    let slower = bench.after(&long_runs, &Traffic { latency_us: 2200, ..fewer }, SINCE).unwrap();
    assert_eq!(slower.end, RolloutEnd::RolledBack);
    assert!(slower.reason.contains("took longer than 2.17"), "{}", slower.reason);
}

#[test]
fn a_version_that_answers_only_when_it_is_named_is_none_of_the_others() {
    let mut bench = Bench::new(policy());
    let fast = Traffic { requests: 100_000, latency_us: 10, run_ns: 100, ..GOOD };
    bench.tell(3, &fast);
    bench.named = classes(1_000_000, 1_000_000);
    assert!(bench.after(&GOOD, &GOOD, SINCE).is_none());
    assert_eq!(bench.settled(LATE, classes(1000, 950)).unwrap().end, RolloutEnd::Promoted);
}

#[test]
fn without_any_allowance_runs_may_still_differ_a_little() {
    let mut bench = Bench::new(Canary { latency_increase_max: 0.0, ..policy() });
    assert_eq!(
        bench.after(&GOOD, &Traffic { run_ns: 5_400_000, ..GOOD }, LATE).unwrap().end,
        RolloutEnd::Promoted
    );
    let decision = bench.after(&GOOD, &Traffic { run_ns: 6_500_000, ..GOOD }, SINCE).unwrap();
    assert!(decision.reason.contains("times as long"), "{}", decision.reason);
}

#[test]
fn runs_that_take_longer_by_what_nobody_notices_are_no_reason() {
    let mut bench = Bench::new(policy());
    let short = Traffic { run_ns: 5_000, ..GOOD };
    let longer = Traffic { run_ns: 60_000, ..GOOD };
    assert_eq!(bench.after(&short, &longer, LATE).unwrap().end, RolloutEnd::Promoted);
    let mut bench = Bench::new(policy());
    let noticed = Traffic { run_ns: 200_000, ..GOOD };
    let decision = bench.after(&short, &noticed, SINCE).unwrap();
    assert!(decision.reason.contains(" ms instead of 0.0"), "{}", decision.reason);
}

#[test]
fn too_few_runs_to_compare_are_waited_for_but_not_for_ever() {
    let mut bench = Bench::new(Canary { requests_min: 20, ..policy() });
    let few = Traffic { requests: 20, ..GOOD };
    assert!(bench.after(&few, &few, LATE).is_none());
    assert!(bench.settled(2 * LATE - SINCE - 1, Scored::default()).is_none());
    assert_eq!(bench.settled(2 * LATE - SINCE, Scored::default()).unwrap().end, RolloutEnd::Promoted);
}

#[test]
fn what_is_heard_while_nobody_judges_is_compared_window_by_window() {
    let mut bench = Bench::new(policy());
    // Others have many short runs in one window, and few long ones in the next, and the canary as many of each.
    for (requests, run_ns) in [(2000, 1_000_000), (500, 10_000_000)] {
        bench.unloadable = Some("one worker cannot");
        bench.tell(1, &Traffic { requests, run_ns, ..GOOD });
        bench.tell(2, &Traffic { run_ns, ..GOOD });
        assert!(bench.judge(SINCE, Scored::default()).is_none());
    }
    bench.unloadable = None;
    assert_eq!(bench.settled(LATE, Scored::default()).unwrap().end, RolloutEnd::Promoted);
}

#[test]
fn a_canary_whose_runs_take_longer_is_rolled_back_though_all_wait_as_long() {
    let mut bench = Bench::new(policy());
    let shown = bench.after(&GOOD, &Traffic { run_ns: 7_510_000, ..GOOD }, LATE);
    assert!(shown.is_none(), "it is over the half that is allowed, but by too little to be shown by so many");
    let decision = bench.after(&GOOD, &Traffic { run_ns: 8_500_000, ..GOOD }, SINCE).unwrap();
    assert_eq!(decision.end, RolloutEnd::RolledBack);
    assert!(decision.reason.contains("times as long as those of the others"), "{}", decision.reason);
    let mut bench = Bench::new(policy());
    assert_eq!(
        bench.after(&GOOD, &Traffic { run_ns: 7_000_000, ..GOOD }, LATE).unwrap().end,
        RolloutEnd::Promoted
    );
}

#[test]
fn a_less_accurate_canary_is_rolled_back_and_one_without_labels_waits_for_them_if_it_must() {
    let mut bench = Bench::new(Canary { needs_labels: true, ..policy() });
    assert!(bench.after(&GOOD, &GOOD, LATE).is_none());
    assert!(bench.settled(LATE, classes(199, 199)).is_none());
    let as_good = bench.settled(LATE, classes(500, 475)).unwrap();
    assert_eq!(as_good.end, RolloutEnd::Promoted);
    let worse = bench.settled(LATE, classes(500, 400)).unwrap();
    assert_eq!(worse.end, RolloutEnd::RolledBack);
    assert!(worse.reason.contains("400 of 500"), "{}", worse.reason);
}

#[test]
fn a_regression_is_judged_by_its_mean_absolute_error() {
    let mut bench = Bench::new(Canary { needs_labels: true, ..policy() });
    assert!(bench.after(&GOOD, &GOOD, LATE).is_none());
    assert!(bench.settled(LATE, numbers(199, 0.5)).is_none(), "too few labels");
    assert_eq!(bench.settled(LATE, numbers(400, 1.02)).unwrap().end, RolloutEnd::Promoted);
    // A tenth more is over what is allowed, but so few labels do not show it.
    assert!(bench.settled(LATE, numbers(400, 1.1)).is_none());
    let worse = bench.settled(LATE, numbers(400, 1.5)).unwrap();
    assert_eq!(worse.end, RolloutEnd::RolledBack);
    assert!(worse.reason.contains("mean absolute error was 1.5 in 400"), "{}", worse.reason);
}

#[test]
fn a_change_of_the_deployment_begins_anew() {
    let mut bench = Bench::new(policy());
    bench.tell(1, &GOOD);
    bench.tell(2, &Traffic { failed: 500, ..GOOD });
    assert!(bench.judge(SINCE, Scored::default()).is_none());
    bench.revision += 1;
    assert!(bench.settled(LATE, Scored::default()).is_none(), "nothing was counted since");
    assert_eq!(bench.after(&GOOD, &GOOD, LATE).unwrap().revision, 6);
}
