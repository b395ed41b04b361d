//! What is counted of one version on this worker between two telemetry messages.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leat_contract::{
    BatchFigures, CacheFigures, ErrorCode, ModelName, ModelTelemetry, ModelVersion, RunTimes, ShadowCounts,
    TimeTotal, VersionTotals,
};
use leat_statistics::{LatencyEncoder, LatencyHistogram, LatencySummary, Sample};

/// The counters of one version. Threads that answer requests lock it once per batch.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    counts: Mutex<Counts>,
    inflight: AtomicU64,
    last: Mutex<Option<LatencySummary>>,
    /// What copies of requests told since the version was loaded.
    copies: Mutex<ShadowCounts>,
}

/// Counters since the last [`Meter::take`], and the totals.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: u64,
    rows: u64,
    batches: u64,
    errors: BTreeMap<ErrorCode, u64>,
    latency: LatencyHistogram,
    queue: LatencyHistogram,
    compute: LatencyHistogram,
    run_logs: BTreeMap<RunKind, RunLogs>,
    /// What copies of requests told, when it is a shadow.
    pub(crate) shadow: ShadowCounts,
    /// Of what use kept answers were.
    cache: CacheFigures,
    /// Since the version was loaded.
    totals: VersionTotals,
    /// Likewise, by the size of runs.
    batches_by_size: BTreeMap<u64, BatchFigures>,
}

/// Where the time of one answered request went, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    /// From receipt to reply.
    pub(crate) total_ns: u64,
    /// Of it in the queue.
    pub(crate) queue_ns: u64,
    /// What its batch took; none when the model did not run for it.
    pub(crate) batch: Option<BatchTiming>,
}

/// Where the time of a batch went, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BatchTiming {
    pub(crate) input_ns: u64,
    pub(crate) compute_ns: u64,
    pub(crate) output_ns: u64,
}

/// One run of the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) rows: usize,
    pub(crate) took: Duration,
    /// Whether its thread had run something else before.
    pub(crate) is_cold: bool,
    /// What it took when it was repeated.
    pub(crate) repeat: Option<Duration>,
}

impl Run {
    pub(crate) fn new(rows: usize, took: Duration, is_cold: bool) -> Self {
        Self { rows, took, is_cold, repeat: None }
    }
}

/// Runs that are told together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RunKind {
    is_cold: bool,
    is_repeat: bool,
    size: u64,
}

/// Runs of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct RunLogs {
    rows: u64,
    /// The logarithms of what they took.
    logs: Sample,
}

impl Counts {
    /// Counts the runs of a batch, which share the time of reading, and that of writing with answers that were known: so many rows in all.
    /// What was repeated is one more time that runs take, and nothing else.
    pub(crate) fn ran(&mut self, runs: &[Run], timing: BatchTiming, written: usize) {
        self.batches += runs.len() as u64;
        self.totals.batches += runs.len() as u64;
        let read = runs.iter().map(|run| run.rows).sum::<usize>().max(1);
        for &Run { rows, took, is_cold, repeat } in runs {
            let (rows, compute_ns) = (rows as u64, nanoseconds(took));
            let share = |ns: u64, of: usize| ns.saturating_mul(rows) / of as u64;
            let (input_ns, output_ns) =
                (share(timing.input_ns, read), share(timing.output_ns, written.max(read)));
            let size = BatchFigures::size_of(rows);
            let sum = self.batches_by_size.entry(size).or_insert(BatchFigures { size, ..Default::default() });
            let one = |ns: u64| TimeTotal { count: 1, ns };
            sum.input.add(one(input_ns));
            sum.compute.add(one(compute_ns));
            sum.output.add(one(output_ns));
            let kind = RunKind { is_cold, is_repeat: false, size };
            let repeat =
                repeat.map(|took| (RunKind { is_cold: false, is_repeat: true, size }, nanoseconds(took)));
            for (kind, compute_ns) in [(kind, compute_ns)].into_iter().chain(repeat) {
                let sum = self.run_logs.entry(kind).or_default();
                sum.rows += rows;
                sum.logs.record(((input_ns + compute_ns + output_ns).max(1) as f64).ln());
            }
        }
    }

    /// Counts a request that got a result for so many rows, at a time in milliseconds since 1970.
    pub(crate) fn answered(&mut self, rows: usize, timing: Timing, at: u64) {
        self.rows += rows as u64;
        self.totals.rows += rows as u64;
        self.totals.last_at = at;
        self.totals.success.record(timing.total_ns);
        self.took(timing);
    }

    /// Counts a request that got an error after it had waited.
    pub(crate) fn failed(&mut self, code: ErrorCode, timing: Timing) {
        *self.errors.entry(code).or_default() += 1;
        self.totals.fail.record(timing.total_ns);
        self.took(timing);
    }

    /// Counts of what use kept answers were.
    pub(crate) fn looked_up(&mut self, cache: CacheFigures) {
        self.cache.add(cache);
        self.totals.cache.add(cache);
    }

    /// Counts a request that was refused at the door. Its time is not counted: refusals are quick and would make a busy
    /// worker look fast.
    pub(crate) fn refused(&mut self, code: ErrorCode) {
        self.requests += 1;
        self.totals.fail.add(TimeTotal { count: 1, ns: 0 });
        *self.errors.entry(code).or_default() += 1;
    }

    fn took(&mut self, timing: Timing) {
        self.requests += 1;
        self.latency.record(timing.total_ns);
        self.queue.record(timing.queue_ns);
        self.totals.queue.record(timing.queue_ns);
        if let Some(BatchTiming { input_ns, compute_ns, output_ns }) = timing.batch {
            self.totals.input.record(input_ns);
            self.totals.compute.record(compute_ns);
            self.totals.output.record(output_ns);
            self.compute.record(compute_ns);
        }
    }

    fn is_empty(&self) -> bool {
        self.requests == 0 && self.batches == 0 && self.shadow == ShadowCounts::default()
    }
}

impl Meter {
    /// Locks the counters.
    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that so many requests began to run.
    pub(crate) fn began(&self, requests: usize) {
        self.inflight.fetch_add(requests as u64, Ordering::Relaxed);
    }

    /// Says that so many requests were answered after they had begun.
    pub(crate) fn ended(&self, requests: usize) {
        self.inflight.fetch_sub(requests as u64, Ordering::Relaxed);
    }

    /// Everything since the version was loaded.
    pub(crate) fn totals(&self) -> VersionTotals {
        self.counts().totals
    }

    /// Likewise the runs, by their size.
    pub(crate) fn batches_by_size(&self) -> Vec<BatchFigures> {
        self.counts().batches_by_size.values().copied().collect()
    }

    /// Requests that run now.
    pub(crate) fn inflight(&self) -> u64 {
        self.inflight.load(Ordering::Relaxed)
    }

    /// The latency of the last whole interval, none when there was no request in it.
    pub(crate) fn last_latency(&self) -> Option<LatencySummary> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What copies of requests told until the last whole interval.
    pub(crate) fn copies(&self) -> ShadowCounts {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nothing was counted since the last [`Meter::take`].
    pub(crate) fn is_empty(&self) -> bool {
        self.counts().is_empty()
    }

    /// Gives the counters of the interval and begins a new one.
    pub(crate) fn take(
        &self,
        model: &ModelName,
        version: ModelVersion,
        queued: u64,
        encoder: &mut LatencyEncoder,
    ) -> ModelTelemetry {
        let mut counts = self.counts();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = counts.latency.summary();
        let mut delta = |of: fn(&mut Counts) -> &mut LatencyHistogram| {
            let histogram = of(&mut counts);
            if histogram.is_empty() { Vec::new() } else { histogram.take_delta(encoder) }
        };
        let latency = delta(|counts| &mut counts.latency);
        let queue = delta(|counts| &mut counts.queue);
        let compute = delta(|counts| &mut counts.compute);
        let run_logs = std::mem::take(&mut counts.run_logs);
        let shadow = std::mem::take(&mut counts.shadow);
        let cache = std::mem::take(&mut counts.cache);
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).merge(&shadow);
        ModelTelemetry {
            model: model.clone(),
            version,
            requests: std::mem::take(&mut counts.requests),
            rows: std::mem::take(&mut counts.rows),
            batches: std::mem::take(&mut counts.batches),
            errors: std::mem::take(&mut counts.errors),
            inflight: self.inflight(),
            queued,
            latency,
            queue,
            compute,
            shadow: (shadow != ShadowCounts::default()).then_some(shadow),
            cache: (cache != CacheFigures::default()).then_some(cache),
            runs: run_logs.into_iter().map(run_times).collect(),
        }
    }
}

/// What a counter takes.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn run_times((kind, RunLogs { rows, logs }): (RunKind, RunLogs)) -> RunTimes {
    let RunKind { is_cold, is_repeat, size } = kind;
    let (count, log_sum, log_squares) = (logs.count(), logs.sum(), logs.squares());
    RunTimes { size, is_cold, is_repeat, count, rows, log_sum, log_squares }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_says_only_what_happened_in_it() {
        let (model, version) = (ModelName::new("digits").unwrap(), ModelVersion::FIRST);
        let meter = Meter::default();
        let batch = BatchTiming { input_ns: 300, compute_ns: 500, output_ns: 200 };
        let timing = Timing { total_ns: 3000, queue_ns: 1000, batch: Some(batch) };
        let run = |rows, ns, is_cold| Run::new(rows, Duration::from_nanos(ns), is_cold);
        let repeated = Run { repeat: Some(Duration::from_nanos(400)), ..run(4, 500, true) };
        meter.counts().ran(&[repeated], batch, 8);
        let parts = [run(3, 60, true), run(3, 60, false), run(1, 20, false)];
        meter.counts().ran(&parts, BatchTiming { input_ns: 70, compute_ns: 140, output_ns: 7 }, 7);
        meter.counts().answered(4, timing, 1_700_000_000_000);
        meter.counts().failed(ErrorCode::InvalidArgument, Timing { batch: None, ..timing });
        meter.counts().refused(ErrorCode::Overloaded);
        meter.counts().looked_up(CacheFigures { hits: 1, misses: 2 });
        assert!(!meter.is_empty());

        let first = meter.take(&model, version, 7, &mut LatencyEncoder::default());
        assert_eq!(first.cache, Some(CacheFigures { hits: 1, misses: 2 }));
        assert_eq!((first.requests, first.rows, first.batches, first.queued), (3, 4, 4, 7));
        assert_eq!(
            first.errors,
            BTreeMap::from([(ErrorCode::InvalidArgument, 1), (ErrorCode::Overloaded, 1)])
        );
        let latency = LatencyHistogram::from_bytes(&first.latency).unwrap();
        assert_eq!(latency.count(), 2);
        assert_eq!(LatencyHistogram::from_bytes(&first.compute).unwrap().count(), 1);
        let logs = |rows, ns: f64| RunLogs { rows, logs: [ns.ln()].into_iter().collect() };
        let kind = |is_cold, is_repeat, size| RunKind { is_cold, is_repeat, size };
        let runs = [
            (kind(false, false, 1), logs(1, 31.0)),
            (kind(false, false, 3), logs(3, 93.0)),
            (kind(false, true, 4), logs(4, 800.0)),
            (kind(true, false, 3), logs(3, 93.0)),
            (kind(true, false, 4), logs(4, 900.0)),
        ];
        assert_eq!(first.runs, runs.map(run_times));

        let second = meter.take(&model, version, 0, &mut LatencyEncoder::default());
        assert_eq!((second.cache, second.runs.len()), (None, 0));
        assert_eq!((second.requests, second.latency.len(), second.errors.len()), (0, 0, 0));
        assert!(meter.is_empty());

        let totals = meter.totals();
        assert_eq!((totals.rows, totals.batches), (4, 4));
        assert_eq!(totals.success, TimeTotal { count: 1, ns: 3000 });
        assert_eq!(totals.fail, TimeTotal { count: 2, ns: 3000 });
        assert_eq!(totals.queue, TimeTotal { count: 2, ns: 2000 });
        let of_batch = [totals.input, totals.compute, totals.output];
        assert_eq!(of_batch, [300, 500, 200].map(|ns| TimeTotal { count: 1, ns }));
        assert_eq!(totals.cache, CacheFigures { hits: 1, misses: 2 });
        assert_eq!(totals.last_at, 1_700_000_000_000);
        let told =
            meter.batches_by_size().into_iter().map(|sum| (sum.size, [sum.input, sum.compute, sum.output]));
        let of = |count, ns: [u64; 3]| ns.map(|ns| TimeTotal { count, ns });
        let expected = [(1, of(1, [10, 20, 1])), (3, of(2, [60, 120, 6])), (4, of(1, [300, 500, 100]))];
        assert!(told.eq(expected));
    }
}
