//! Everything the monitor knows, and what each message does to it. It awaits nothing and reads no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_contract::{Alert, Label, ModelName, PredictionBatch, Window, WorkerTelemetry};

use crate::alerts::{AlertBook, Condition, Reading};
use crate::conditions;
use crate::desired::Desired;
use crate::label_join::LabelJoin;
use crate::metrics::ModelMetrics;
use crate::report::VersionReport;
use crate::settings::Settings;
use crate::window::WindowBuilder;
use crate::workers::Workers;

/// The state.
#[derive(Debug)]
pub(crate) struct Observatory {
    settings: Settings,
    workers: Workers,
    window: WindowBuilder,
    joins: BTreeMap<ModelName, LabelJoin>,
    alerts: AlertBook,
    metrics: ModelMetrics,
}

/// What the end of a window gives.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    pub(crate) windows: Vec<Window>,
    pub(crate) alerts: Vec<Alert>,
}

impl Observatory {
    pub(crate) fn new(settings: Settings, metrics: ModelMetrics, now: u64) -> Self {
        Self {
            settings,
            workers: Workers::default(),
            window: WindowBuilder::new(now),
            joins: BTreeMap::new(),
            alerts: AlertBook::default(),
            metrics,
        }
    }

    /// Takes a worker's report.
    pub(crate) fn telemetry(&mut self, report: &WorkerTelemetry, now: u64) {
        let Some(heeded) = self.workers.heed(report, now) else { return };
        self.window.heard(report, heeded.cpu_ratio, heeded.missed);
        self.metrics.heard(report, heeded.cpu_ratio, heeded.missed);
        let covered = Duration::from_millis(report.interval_ms);
        for told in &report.models {
            let added = VersionReport::read(told).and_then(|version| {
                self.window.add(&report.worker, covered, &version)?;
                self.metrics.add(&report.worker, &version);
                Ok(())
            });
            if let Err(error) = added {
                let (worker, model, version) = (&report.worker, &told.model, told.version);
                tracing::warn!(%error, %worker, %model, %version, "telemetry with an unreadable histogram");
                self.metrics.dropped_event();
            }
        }
    }

    /// Takes predictions of one model.
    pub(crate) fn predictions(&mut self, batch: PredictionBatch) {
        let Some(join) = self.join(batch.model) else { return };
        batch.records.into_iter().for_each(|record| join.predicted(record));
    }

    /// Takes a label.
    pub(crate) fn label(&mut self, model: ModelName, label: Label, now: u64) {
        let Some(join) = self.join(model) else { return };
        let unusable = join.unusable();
        join.labelled(label, now);
        let was_unusable = join.unusable() > unusable;
        if was_unusable {
            self.metrics.dropped_event();
        }
    }

    /// A message could not be read.
    pub(crate) fn dropped_event(&self) {
        self.metrics.dropped_event();
    }

    /// Ends the window.
    pub(crate) fn close(&mut self, desired: &Desired, now: u64) -> Closed {
        let mut windows = self.window.close(now);
        for window in &mut windows {
            let Some(join) = self.joins.get_mut(&window.model) else { continue };
            join.expire(now);
            for version in &mut window.versions {
                version.accuracy = join.accuracy(version.version);
            }
            self.metrics.set_accuracy(window);
        }
        let readings = self.readings(&windows, desired, now);
        let is_watched = |condition: &Condition| desired.is_known || conditions::is_of_telemetry(condition);
        let alerts = self.alerts.read_all(readings, is_watched, now);
        Closed { windows, alerts }
    }

    fn readings(&mut self, windows: &[Window], desired: &Desired, now: u64) -> Vec<Reading> {
        let settings = &self.settings.alerts;
        let mut readings = Vec::new();
        for window in windows {
            readings.extend(conditions::of_window(window, &desired.references, settings));
        }
        // Without a listing nobody knows who has left in order and what should be served.
        if !desired.is_known {
            return readings;
        }
        for presence in self.workers.inspect(now, self.settings.worker_silence_ms, &desired.leased) {
            readings.extend(conditions::of_presence(&presence));
        }
        self.metrics.retain_workers(&self.workers.present());
        let serving = self.workers.serving();
        for deployment in &desired.deployments {
            readings.extend(conditions::of_deployment(deployment, &serving, settings.windows));
        }
        self.metrics.set_serving(serving);
        self.metrics.set_deployments(desired.deployments.iter());
        readings
    }

    /// The join of a model; none when there are too many models already.
    fn join(&mut self, model: ModelName) -> Option<&mut LabelJoin> {
        let has_room = self.joins.len() < self.settings.models_max || self.joins.contains_key(&model);
        if !has_room {
            self.metrics.dropped_event();
            return None;
        }
        let limits = self.settings.join_limits();
        Some(self.joins.entry(model).or_insert_with(|| LabelJoin::new(limits)))
    }
}

#[cfg(test)]
mod tests;
