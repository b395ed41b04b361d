//! Everything the monitor knows, and what each message does to it. It awaits nothing and reads no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leat_contract::{Alert, Label, ModelName, ModelVersion, PredictionBatch, Window, WorkerTelemetry};

use crate::alerts::{AlertBook, Condition, Reading};
use crate::canary::{Canaries, Decision};
use crate::conditions;
use crate::desired::Desired;
use crate::label_join::{LabelJoin, Watermarks};
use crate::metrics::ModelMetrics;
use crate::report::VersionReport;
use crate::roster::Roster;
use crate::settings::Settings;
use crate::window::WindowBuilder;
use crate::workers::Workers;

/// The state.
#[derive(Debug)]
pub(crate) struct Observatory {
    settings: Settings,
    roster: Roster,
    workers: Workers,
    window: WindowBuilder,
    joins: BTreeMap<ModelName, LabelJoin>,
    judge_labels_from: u64,
    alerts: AlertBook,
    canaries: Canaries,
    metrics: ModelMetrics,
}

/// What the end of a window gives.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    pub(crate) windows: Vec<Window>,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) decisions: Vec<Decision>,
}

impl Observatory {
    pub(crate) fn new(settings: Settings, metrics: ModelMetrics, now: u64) -> Self {
        Self {
            roster: Roster::new(settings.models_max),
            canaries: Canaries::new(settings.alerts.windows),
            settings,
            workers: Workers::default(),
            window: WindowBuilder::new(now),
            joins: BTreeMap::new(),
            judge_labels_from: now,
            alerts: AlertBook::default(),
            metrics,
        }
    }

    /// Takes a worker's report.
    pub(crate) fn telemetry(&mut self, mut report: WorkerTelemetry, now: u64) {
        report.models.retain(|told| {
            let has_room = self.roster.hear(&told.model, told.version, now);
            if !has_room {
                self.metrics.dropped_event();
            }
            has_room
        });
        let Some(heeded) = self.workers.heed(&report, now) else { return };
        self.window.heard(&report, heeded.cpu_ratio, heeded.missed);
        self.metrics.heard(&report, heeded.cpu_ratio, heeded.missed);
        let covered = Duration::from_millis(report.interval_ms);
        for told in &report.models {
            let added = VersionReport::read(told).and_then(|version| {
                self.window.add(&report.worker, covered, &version)?;
                self.metrics.add(&report.worker, &version);
                self.canaries.hear(&report.worker, &version);
                Ok(())
            });
            if let Err(error) = added {
                let (worker, model, version) = (&report.worker, &told.model, told.version);
                tracing::warn!(%error, %worker, %model, %version, "telemetry with an unreadable histogram");
                self.metrics.dropped_event();
            }
        }
    }

    /// The oldest prediction that is kept was stored at a time, or it is the first that ever was. Labels of predictions that
    /// are kept no longer are no orphans.
    pub(crate) fn oldest_prediction(&mut self, stored_at: u64, is_first_ever: bool) {
        let whole = stored_at.saturating_add(self.settings.label_wait_ms);
        self.judge_labels_from = if is_first_ever { 0 } else { whole };
        self.joins.values_mut().for_each(|join| join.judge_from(self.judge_labels_from));
    }

    /// Takes predictions of one model that were stored at a time.
    pub(crate) fn predictions(&mut self, batch: PredictionBatch, stored_at: u64) {
        let Some(join) = self.join(batch.model) else { return };
        batch.records.into_iter().for_each(|record| join.predicted(record, stored_at));
    }

    /// Takes a label that was stored at a time.
    pub(crate) fn label(&mut self, model: ModelName, label: Label, stored_at: u64) {
        let Some(join) = self.join(model) else { return };
        join.labelled(label, stored_at);
    }

    /// A message could not be read.
    pub(crate) fn dropped_event(&self) {
        self.metrics.dropped_event();
    }

    /// Ends the window. `seen` says how far predictions and labels have been read.
    pub(crate) fn close(&mut self, desired: &Desired, seen: Watermarks, now: u64) -> Closed {
        self.joins.values_mut().for_each(|join| join.expire(seen));
        let mut windows = self.window.close(now);
        for window in &mut windows {
            let Some(join) = self.joins.get(&window.model) else { continue };
            for version in &mut window.versions {
                version.accuracy = join.accuracy(version.version);
            }
            self.metrics.set_accuracy(window);
        }
        if desired.is_known {
            self.forget_what_is_over(desired, now);
        }
        self.metrics
            .set_labels(self.joins.iter().map(|(model, join)| (model, join.orphans(), join.unusable())));
        let readings = self.readings(&windows, desired, now);
        let is_watched = |condition: &Condition| desired.is_known || conditions::is_of_telemetry(condition);
        let alerts = self.alerts.read_all(readings, is_watched, now);
        let decisions = self.judge_canaries(desired, now);
        Closed { windows, alerts, decisions }
    }

    /// Without a listing nobody knows which canaries there are.
    fn judge_canaries(&mut self, desired: &Desired, now: u64) -> Vec<Decision> {
        self.canaries.close();
        if !desired.is_known {
            return Vec::new();
        }
        let joins = &self.joins;
        let scored = |model: &ModelName, version| {
            joins.get(model).and_then(|join| join.scored(version)).unwrap_or_default()
        };
        let unloadable = |model: &ModelName| desired.unloadable.get(model).map(String::as_str);
        self.canaries.judge(desired.with_revisions(), scored, unloadable, now)
    }

    /// Forgets the figures of versions and models that are neither deployed nor heard of.
    fn forget_what_is_over(&mut self, desired: &Desired, now: u64) {
        let deployed: BTreeSet<(&ModelName, ModelVersion)> = desired
            .deployments
            .iter()
            .flat_map(|one| one.routes.iter().map(|route| (&one.model, route.version)))
            .collect();
        self.roster.forget(|model, version| deployed.contains(&(model, version)), now);
        let roster = &self.roster;
        self.metrics.retain_versions(|model, version| roster.contains(model, version));
        let models: BTreeSet<&ModelName> = deployed.iter().map(|(model, _)| *model).collect();
        self.joins.retain(|model, join| {
            join.retain_versions(|version| {
                roster.contains(model, version) || deployed.contains(&(model, version))
            });
            models.contains(model) || !join.is_idle()
        });
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
        let (limits, judged_from) = (self.settings.join_limits(), self.judge_labels_from);
        Some(self.joins.entry(model).or_insert_with(|| LabelJoin::new(limits, judged_from)))
    }
}

#[cfg(test)]
mod tests;
