//! Who reports, how much processor each uses, and who has fallen silent.

use std::collections::{BTreeMap, BTreeSet};

use leat_contract::{ModelName, ModelVersion, ProcessTelemetry, WorkerId, WorkerTelemetry};
use leat_statistics::{Observed, SequenceTracker};

/// A lost worker is remembered this long, so that its alert ends when it comes back or is forgotten.
const FORGET_AFTER_MS: u64 = 600_000;

/// The workers that were heard.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    heard: BTreeMap<WorkerId, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    sequence: SequenceTracker,
    epoch: u64,
    process: ProcessTelemetry,
    cpu_ratio: f64,
    at: u64,
    versions: BTreeSet<(ModelName, ModelVersion)>,
    is_lost: bool,
}

/// What a report adds to what was known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heeded {
    /// Reports of this worker that never came.
    pub(crate) missed: u64,
    /// Processor time since its last report, divided by the time between them.
    pub(crate) cpu_ratio: f64,
}

impl Workers {
    /// Takes a report; none when it is a repetition or from an earlier life of the worker.
    pub(crate) fn heed(&mut self, report: &WorkerTelemetry, now: u64) -> Option<Heeded> {
        let heard = self.heard.entry(report.worker.clone()).or_default();
        let Observed::New { missed } = heard.sequence.observe(report.epoch, report.sequence) else {
            return None;
        };
        let versions = report.models.iter().map(|told| (told.model.clone(), told.version));
        if heard.is_continued_by(report, now) {
            heard.versions.extend(versions);
            return Some(Heeded { missed, cpu_ratio: heard.cpu_ratio });
        }
        heard.versions = versions.collect();
        heard.cpu_ratio = heard.cpu_ratio_with(report, missed);
        heard.epoch = report.epoch;
        heard.process = report.process.clone();
        heard.at = now;
        heard.is_lost = false;
        Some(Heeded { missed, cpu_ratio: heard.cpu_ratio })
    }

    /// Looks for workers that have fallen silent. One whose lease is withdrawn has left in order and is forgotten; one
    /// that still holds a lease is lost, until it reports again or was lost so long ago that nobody waits for it.
    pub(crate) fn inspect(
        &mut self,
        now: u64,
        silence_ms: u64,
        leased: &BTreeSet<WorkerId>,
    ) -> Vec<Presence> {
        let mut presences = Vec::new();
        self.heard.retain(|worker, heard| {
            let silent_ms = now.saturating_sub(heard.at);
            let is_silent = silent_ms > silence_ms;
            let has_left = is_silent && !heard.is_lost && !leased.contains(worker);
            let is_forgotten = silent_ms > FORGET_AFTER_MS;
            heard.is_lost = is_silent && !has_left && !is_forgotten;
            if !has_left {
                let models = heard.versions.iter().map(|(model, _)| model.clone()).collect();
                presences.push(Presence {
                    worker: worker.clone(),
                    models,
                    is_lost: heard.is_lost,
                    silent_ms,
                });
            }
            !has_left && !is_forgotten
        });
        presences
    }

    /// The workers that are not lost.
    pub(crate) fn present(&self) -> BTreeSet<WorkerId> {
        let present = self.heard.iter().filter(|(_, heard)| !heard.is_lost);
        present.map(|(worker, _)| worker.clone()).collect()
    }

    /// How many workers that are not lost serve each version.
    pub(crate) fn serving(&self) -> BTreeMap<(ModelName, ModelVersion), u64> {
        let mut serving = BTreeMap::new();
        for version in self.heard.values().filter(|heard| !heard.is_lost).flat_map(|heard| &heard.versions) {
            *serving.entry(version.clone()).or_default() += 1;
        }
        serving
    }
}

impl Heard {
    /// Whether a report is a further part of the last one: a worker splits what does not fit into one message, and says the same
    /// of its process in each part.
    fn is_continued_by(&self, report: &WorkerTelemetry, now: u64) -> bool {
        let is_at_once = now.saturating_sub(self.at) < report.interval_ms / 2;
        is_at_once && self.epoch == report.epoch && self.process == report.process
    }

    fn cpu_ratio_with(&self, report: &WorkerTelemetry, missed: u64) -> f64 {
        let is_first = self.at == 0;
        if is_first {
            return 0.0;
        }
        let is_same_life = self.epoch == report.epoch;
        let cpu_before = if is_same_life { self.process.cpu_seconds_total } else { 0.0 };
        // Reports that were missed in between lie within the same span of processor time.
        let span_ms = report.interval_ms.saturating_mul(missed.saturating_add(1)).max(1);
        let used = (report.process.cpu_seconds_total - cpu_before).max(0.0);
        used * 1_000.0 / span_ms as f64
    }
}

/// Whether a worker that was heard is still there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Presence {
    pub(crate) worker: WorkerId,
    pub(crate) models: BTreeSet<ModelName>,
    pub(crate) is_lost: bool,
    pub(crate) silent_ms: u64,
}

#[cfg(test)]
mod tests {
    use leat_contract::ModelTelemetry;

    use super::*;

    fn report(epoch: u64, sequence: u64, cpu_seconds_total: f64) -> WorkerTelemetry {
        let process = ProcessTelemetry { cpu_seconds_total, resident_bytes: 1 };
        let worker = "worker-1".parse().unwrap();
        WorkerTelemetry { worker, epoch, sequence, interval_ms: 1_000, process, models: Vec::new() }
    }

    #[test]
    fn processor_use_is_spread_over_missed_reports() {
        let mut workers = Workers::default();
        assert_eq!(workers.heed(&report(1, 0, 5.0), 1_000), Some(Heeded { missed: 0, cpu_ratio: 0.0 }));
        assert_eq!(workers.heed(&report(1, 1, 5.5), 2_000), Some(Heeded { missed: 0, cpu_ratio: 0.5 }));
        assert_eq!(workers.heed(&report(1, 3, 6.5), 4_000), Some(Heeded { missed: 1, cpu_ratio: 0.5 }));
        assert_eq!(workers.heed(&report(1, 3, 6.5), 4_000), None);
    }

    #[test]
    fn a_restarted_worker_begins_with_fresh_processor_time() {
        let mut workers = Workers::default();
        workers.heed(&report(1, 0, 50.0), 1_000);
        assert_eq!(workers.heed(&report(2, 0, 0.25), 2_000), Some(Heeded { missed: 0, cpu_ratio: 0.25 }));
    }

    #[test]
    fn a_silent_worker_with_a_lease_is_lost_until_it_reports_again() {
        let mut workers = Workers::default();
        let leased = BTreeSet::from(["worker-1".parse().unwrap()]);
        workers.heed(&report(1, 0, 0.0), 1_000);
        assert!(!workers.inspect(4_000, 4_000, &leased)[0].is_lost);
        assert!(workers.inspect(6_000, 4_000, &leased)[0].is_lost);
        assert!(
            workers.inspect(40_000, 4_000, &BTreeSet::new())[0].is_lost,
            "the lease ends long before the alert"
        );
        workers.heed(&report(1, 9, 0.0), 41_000);
        assert!(!workers.inspect(42_000, 4_000, &leased)[0].is_lost);
    }

    #[test]
    fn a_silent_worker_without_a_lease_has_left() {
        let mut workers = Workers::default();
        workers.heed(&report(1, 0, 0.0), 1_000);
        assert_eq!(workers.inspect(6_000, 4_000, &BTreeSet::new()), []);
    }

    #[test]
    fn a_worker_lost_long_ago_is_reported_as_no_longer_lost_and_forgotten() {
        let mut workers = Workers::default();
        let leased = BTreeSet::from(["worker-1".parse().unwrap()]);
        workers.heed(&report(1, 0, 0.0), 1_000);
        assert!(workers.inspect(10_000, 4_000, &leased)[0].is_lost);
        assert!(!workers.inspect(700_000, 4_000, &leased)[0].is_lost);
        assert_eq!(workers.inspect(700_001, 4_000, &leased), []);
    }

    #[test]
    fn what_a_worker_tells_in_several_messages_is_one_report() {
        let mut workers = Workers::default();
        let part = |sequence: u64, version: u32, cpu_seconds_total: f64| {
            let told = ModelTelemetry {
                model: "digits".parse().unwrap(),
                version: ModelVersion::new(version).unwrap(),
                requests: 0,
                rows: 0,
                batches: 0,
                errors: BTreeMap::new(),
                inflight: 0,
                queued: 0,
                latency: Vec::new(),
                queue: Vec::new(),
                compute: Vec::new(),
                shadow: None,
                cache: None,
                runs: Vec::new(),
            };
            WorkerTelemetry { models: vec![told], ..report(1, sequence, cpu_seconds_total) }
        };
        workers.heed(&part(0, 1, 1.0), 1_000);
        for (sequence, version) in [(1, 1), (2, 2)] {
            let heeded = workers.heed(&part(sequence, version, 1.5), 2_000 + sequence);
            assert_eq!(heeded, Some(Heeded { missed: 0, cpu_ratio: 0.5 }));
        }
        assert_eq!(workers.serving().len(), 2);
        assert_eq!(workers.heed(&part(3, 2, 1.5), 3_000), Some(Heeded { missed: 0, cpu_ratio: 0.0 }));
        assert_eq!(workers.serving().len(), 1);
    }
}
