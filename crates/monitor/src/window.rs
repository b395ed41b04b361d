//! What workers told within one window of time, added up per model and version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leat_contract::{
    ErrorCode, ModelName, ModelVersion, Quantiles, ShadowCounts, VersionWindow, Window, WorkerId,
    WorkerResources, WorkerTelemetry,
};
use leat_statistics::{Error, LatencyHistogram, ThroughputWindow};

use crate::report::VersionReport;

/// The sums so far.
#[derive(Debug)]
pub(crate) struct WindowBuilder {
    start: u64,
    models: BTreeMap<ModelName, ModelFigures>,
}

#[derive(Debug, Default)]
struct ModelFigures {
    versions: BTreeMap<ModelVersion, VersionFigures>,
    workers: BTreeMap<WorkerId, WorkerResources>,
    telemetry_gaps: u64,
}

/// The sums of one version.
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
        let Self { start, models } = std::mem::replace(self, Self::new(now));
        models.into_iter().map(|(model, figures)| figures.into_window(model, start, now)).collect()
    }
}

impl ModelFigures {
    fn into_window(self, model: ModelName, start: u64, end: u64) -> Window {
        let versions = self.versions.into_iter().map(|(version, figures)| figures.into_window(version));
        let (versions, workers) = (versions.collect(), self.workers.into_values().collect());
        Window { model, start, end, versions, workers, telemetry_gaps: self.telemetry_gaps }
    }
}

impl VersionFigures {
    fn into_window(self, version: ModelVersion) -> VersionWindow {
        VersionWindow {
            version,
            requests: self.counters.requests,
            rows: self.counters.rows,
            requests_per_second: self.requests_per_second(),
            batch_size_mean: self.counters.batch_size_mean().unwrap_or(0.0),
            errors: self.errors,
            latency_ms: quantiles(&self.latency),
            queue_ms: quantiles(&self.queue),
            compute_ms: quantiles(&self.compute),
            accuracy: None,
            shadow: self.shadow,
        }
    }

    fn requests_per_second(&self) -> f64 {
        let rates = self.by_worker.values().filter_map(|(counted, time)| counted.requests_per_second(*time));
        // Not `sum`, which gives -0 for no rates.
        rates.fold(0.0, |sum, rate| sum + rate)
    }
}

fn quantiles(histogram: &LatencyHistogram) -> Quantiles {
    let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    histogram.summary().map_or_else(Quantiles::default, |summary| Quantiles {
        p50: milliseconds(summary.p50_ns),
        p95: milliseconds(summary.p95_ns),
        p99: milliseconds(summary.p99_ns),
        max: milliseconds(summary.max_ns),
        mean: summary.mean_ns / 1e6,
        count: summary.count,
    })
}

#[cfg(test)]
mod tests;
