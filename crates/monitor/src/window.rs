//! What workers told within one window of time, added up per model and version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leat_contract::{
    ErrorCode, ModelName, ModelVersion, Quantiles, ShadowCounts, VersionWindow, Window, WorkerId,
    WorkerResources, WorkerTelemetry,
};
use leat_statistics::{Error, LatencyHistogram, ThroughputWindow};

use crate::report::VersionReport;

/// The sums so far. What was heard of in one window keeps its memory for the next: histograms are large.
#[derive(Debug)]
pub(crate) struct WindowBuilder {
    start: u64,
    models: BTreeMap<ModelName, ModelFigures>,
}

/// The sums of one model; without workers it was not heard of in this window.
#[derive(Debug, Default)]
struct ModelFigures {
    versions: BTreeMap<ModelVersion, VersionFigures>,
    workers: BTreeMap<WorkerId, WorkerResources>,
    telemetry_gaps: u64,
}

/// The sums of one version; without workers it was not heard of in this window.
#[derive(Debug, Default)]
struct VersionFigures {
    counters: ThroughputWindow,
    /// What each worker counted, and the time that its reports cover: workers report at times of their own, so their reports
    /// may cover more or less than the window.
    by_worker: BTreeMap<WorkerId, (ThroughputWindow, Duration)>,
    errors: BTreeMap<ErrorCode, u64>,
    latency: LatencyHistogram,
    queue: LatencyHistogram,
    compute: LatencyHistogram,
    shadow: Option<ShadowCounts>,
}

impl VersionFigures {
    /// Adds what one worker told.
    ///
    /// # Errors
    /// When there would be more samples than a histogram can count; then its counters are not added.
    fn add(&mut self, worker: &WorkerId, covered: Duration, report: &VersionReport<'_>) -> Result<(), Error> {
        self.latency.merge(&report.latency)?;
        self.queue.merge(&report.queue)?;
        self.compute.merge(&report.compute)?;
        let told = report.told;
        let (requests, rows, batches) = (told.requests, told.rows, told.batches);
        let counters = ThroughputWindow { requests, rows, batches };
        self.counters.merge(&counters);
        let (counted, time) = self.by_worker.entry(worker.clone()).or_default();
        counted.merge(&counters);
        *time = time.saturating_add(covered);
        if let Some(shadow) = &told.shadow {
            self.shadow.get_or_insert_default().merge(shadow);
        }
        for (code, count) in &told.errors {
            let sum = self.errors.entry(*code).or_default();
            *sum = sum.saturating_add(*count);
        }
        Ok(())
    }
}

impl WindowBuilder {
    pub(crate) fn new(start: u64) -> Self {
        Self { start, models: BTreeMap::new() }
    }

    /// Notes who reports on which models. `missed` reports of the same worker before this one did not arrive.
    pub(crate) fn heard(&mut self, report: &WorkerTelemetry, cpu_ratio: f64, missed: u64) {
        let models: BTreeSet<&ModelName> = report.models.iter().map(|told| &told.model).collect();
        for model in models {
            let figures = self.models.entry(model.clone()).or_default();
            let resident_bytes = report.process.resident_bytes;
            let resources = WorkerResources { worker: report.worker.clone(), cpu_ratio, resident_bytes };
            figures.workers.insert(report.worker.clone(), resources);
            figures.telemetry_gaps = figures.telemetry_gaps.saturating_add(missed);
        }
    }

    /// Adds what a worker's report, which covers so much time, says of one version.
    ///
    /// # Errors
    /// When there would be more samples than a histogram can count; then its counters are not added.
    pub(crate) fn add(
        &mut self,
        worker: &WorkerId,
        covered: Duration,
        report: &VersionReport<'_>,
    ) -> Result<(), Error> {
        let figures = self.models.entry(report.told.model.clone()).or_default();
        figures.versions.entry(report.told.version).or_default().add(worker, covered, report)
    }

    /// Ends the window and begins the next one.
    pub(crate) fn close(&mut self, now: u64) -> Vec<Window> {
        let start = std::mem::replace(&mut self.start, now);
        self.models.retain(|_, figures| figures.was_heard());
        let windows = self.models.iter_mut();
        windows.map(|(model, figures)| figures.take_window(model, start, now)).collect()
    }
}

impl ModelFigures {
    fn was_heard(&self) -> bool {
        !self.workers.is_empty()
    }

    fn take_window(&mut self, model: &ModelName, start: u64, end: u64) -> Window {
        self.versions.retain(|_, figures| figures.was_heard());
        let versions = self.versions.iter_mut().map(|(version, figures)| figures.take_window(*version));
        Window {
            model: model.clone(),
            start,
            end,
            versions: versions.collect(),
            workers: std::mem::take(&mut self.workers).into_values().collect(),
            telemetry_gaps: std::mem::take(&mut self.telemetry_gaps),
        }
    }
}

impl VersionFigures {
    fn was_heard(&self) -> bool {
        !self.by_worker.is_empty()
    }

    fn take_window(&mut self, version: ModelVersion) -> VersionWindow {
        let requests_per_second = self.requests_per_second();
        self.by_worker.clear();
        let counters = std::mem::take(&mut self.counters);
        VersionWindow {
            version,
            requests: counters.requests,
            rows: counters.rows,
            requests_per_second,
            batch_size_mean: counters.batch_size_mean().unwrap_or(0.0),
            errors: std::mem::take(&mut self.errors),
            latency_ms: take_quantiles(&mut self.latency),
            queue_ms: take_quantiles(&mut self.queue),
            compute_ms: take_quantiles(&mut self.compute),
            accuracy: None,
            shadow: self.shadow.take(),
        }
    }

    fn requests_per_second(&self) -> f64 {
        let rates = self.by_worker.values().filter_map(|(counted, time)| counted.requests_per_second(*time));
        // Not `sum`, which gives -0 for no rates.
        rates.fold(0.0, |sum, rate| sum + rate)
    }
}

/// The figures of a histogram, which is empty afterwards.
fn take_quantiles(histogram: &mut LatencyHistogram) -> Quantiles {
    let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    // One that is empty is left alone: emptying it would make all of its memory resident.
    let Some(summary) = histogram.summary() else { return Quantiles::default() };
    histogram.reset();
    Quantiles {
        p50: milliseconds(summary.p50_ns),
        p95: milliseconds(summary.p95_ns),
        p99: milliseconds(summary.p99_ns),
        max: milliseconds(summary.max_ns),
        mean: summary.mean_ns / 1e6,
        count: summary.count,
    }
}

#[cfg(test)]
mod tests;
