//! What workers told within one window of time, added up per model and version.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_contract::{
    ErrorCode, ModelName, ModelTelemetry, ModelVersion, Quantiles, VersionWindow, Window, WorkerId,
    WorkerResources, WorkerTelemetry,
};
use leat_statistics::{Error, LatencyHistogram, ThroughputWindow};

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
pub(crate) struct VersionFigures {
    pub(crate) counters: ThroughputWindow,
    pub(crate) errors: BTreeMap<ErrorCode, u64>,
    pub(crate) latency: LatencyHistogram,
    pub(crate) queue: LatencyHistogram,
    pub(crate) compute: LatencyHistogram,
}

impl VersionFigures {
    /// Adds what one worker told.
    ///
    /// # Errors
    /// When a histogram cannot be read; then nothing of the report is added.
    pub(crate) fn add(&mut self, report: &ModelTelemetry) -> Result<(), Error> {
        let latency = LatencyHistogram::from_bytes(&report.latency)?;
        let queue = LatencyHistogram::from_bytes(&report.queue)?;
        let compute = LatencyHistogram::from_bytes(&report.compute)?;
        self.latency.merge(&latency)?;
        self.queue.merge(&queue)?;
        self.compute.merge(&compute)?;
        let (requests, rows, batches) = (report.requests, report.rows, report.batches);
        self.counters.merge(&ThroughputWindow { requests, rows, batches, errors: BTreeMap::new() });
        for (code, count) in &report.errors {
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

    /// Adds a report. `missed` reports of the same worker before it did not arrive.
    ///
    /// # Errors
    /// When a histogram cannot be read.
    pub(crate) fn add(&mut self, report: &WorkerTelemetry, cpu_ratio: f64, missed: u64) -> Result<(), Error> {
        let mut models_told: Vec<&ModelName> = report.models.iter().map(|told| &told.model).collect();
        models_told.dedup();
        for model in models_told {
            let figures = self.models.entry(model.clone()).or_default();
            let resident_bytes = report.process.resident_bytes;
            let resources = WorkerResources { worker: report.worker.clone(), cpu_ratio, resident_bytes };
            figures.workers.insert(report.worker.clone(), resources);
            figures.telemetry_gaps = figures.telemetry_gaps.saturating_add(missed);
        }
        for told in &report.models {
            let figures = self.models.entry(told.model.clone()).or_default();
            figures.versions.entry(told.version).or_default().add(told)?;
        }
        Ok(())
    }

    /// Ends the window and begins the next one.
    pub(crate) fn close(&mut self, now: u64) -> Vec<Window> {
        let Self { start, models } = std::mem::replace(self, Self::new(now));
        let elapsed = Duration::from_millis(now.saturating_sub(start));
        models.into_iter().map(|(model, figures)| figures.into_window(model, (start, now), elapsed)).collect()
    }
}

impl ModelFigures {
    fn into_window(self, model: ModelName, (start, end): (u64, u64), elapsed: Duration) -> Window {
        let versions = self
            .versions
            .into_iter()
            .map(|(version, figures)| figures.into_window(version, elapsed))
            .collect();
        let workers = self.workers.into_values().collect();
        Window { model, start, end, versions, workers, telemetry_gaps: self.telemetry_gaps }
    }
}

impl VersionFigures {
    fn into_window(self, version: ModelVersion, elapsed: Duration) -> VersionWindow {
        VersionWindow {
            version,
            requests: self.counters.requests,
            rows: self.counters.rows,
            requests_per_second: self.counters.requests_per_second(elapsed).unwrap_or(0.0),
            batch_size_mean: self.counters.batch_size_mean().unwrap_or(0.0),
            errors: self.errors,
            latency_ms: quantiles(&self.latency),
            queue_ms: quantiles(&self.queue),
            compute_ms: quantiles(&self.compute),
            accuracy: None,
        }
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
