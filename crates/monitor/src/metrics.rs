//! The metrics of every model, for Prometheus. Names follow its conventions: base units, no ids as labels.

mod buckets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buckets::Buckets;
use leat_contract::{
    CacheFigures, Deployment, ModelName, ModelVersion, ShadowCounts, Window, WorkerId, WorkerTelemetry,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::report::VersionReport;

type Version = (ModelName, ModelVersion);

/// What is exported. Clones share the figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelMetrics {
    figures: Arc<Mutex<Figures>>,
}

#[derive(Debug, Default)]
struct Figures {
    versions: BTreeMap<Version, Totals>,
    serving: BTreeMap<Version, u64>,
    deployed: BTreeMap<Version, (u32, String)>,
    workers: BTreeMap<WorkerId, (f64, u64)>,
    /// Orphans and unusable ones of each model.
    labels: BTreeMap<ModelName, (u64, u64)>,
    events_dropped: u64,
    sketch_gaps: u64,
    durable_overdue: u64,
}

/// Sums over the life of this monitor.
#[derive(Debug, Default)]
struct Totals {
    answered: u64,
    failed: BTreeMap<u16, u64>,
    rows: u64,
    batches: u64,
    request: Buckets,
    queue: Buckets,
    infer: Buckets,
    inflight: BTreeMap<WorkerId, u64>,
    pending: BTreeMap<WorkerId, u64>,
    shadow: ShadowCounts,
    cache: CacheFigures,
    accuracy: Option<f64>,
    label_coverage: Option<f64>,
}

impl ModelMetrics {
    /// Takes over what a worker told of itself. `missed` reports before this one did not arrive.
    pub(crate) fn heard(&self, report: &WorkerTelemetry, cpu_ratio: f64, missed: u64) {
        let mut figures = self.lock();
        figures.sketch_gaps = figures.sketch_gaps.saturating_add(missed);
        figures.workers.insert(report.worker.clone(), (cpu_ratio, report.process.resident_bytes));
    }

    /// Adds what a worker told of one version.
    pub(crate) fn add(&self, worker: &WorkerId, report: &VersionReport<'_>) {
        let told = report.told;
        let mut figures = self.lock();
        let totals = figures.versions.entry((told.model.clone(), told.version)).or_default();
        let failed = told.errors.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        let answered = told.requests.saturating_sub(failed);
        totals.answered = totals.answered.saturating_add(answered);
        for (code, count) in &told.errors {
            let sum = totals.failed.entry(code.status()).or_default();
            *sum = sum.saturating_add(*count);
        }
        totals.rows = totals.rows.saturating_add(told.rows);
        totals.batches = totals.batches.saturating_add(told.batches);
        totals.request.add(&report.latency);
        totals.queue.add(&report.queue);
        totals.infer.add(&report.compute);
        totals.inflight.insert(worker.clone(), told.inflight);
        totals.pending.insert(worker.clone(), told.queued);
        told.shadow.iter().for_each(|shadow| totals.shadow.merge(shadow));
        told.cache.iter().for_each(|cache| totals.cache.add(*cache));
    }

    /// Takes over what a closed window says of labels.
    pub(crate) fn set_accuracy(&self, window: &Window) {
        let mut figures = self.lock();
        for version in &window.versions {
            let Some(accuracy) = &version.accuracy else { continue };
            let totals = figures.versions.entry((window.model.clone(), version.version)).or_default();
            totals.accuracy = accuracy.ratio;
            let has_predictions = accuracy.predictions > 0;
            totals.label_coverage =
                has_predictions.then(|| accuracy.matched as f64 / accuracy.predictions as f64);
        }
    }

    /// Takes over how many labels of each model found no prediction, and how many do not fit theirs.
    pub(crate) fn set_labels<'a>(&self, labels: impl Iterator<Item = (&'a ModelName, u64, u64)>) {
        let counts = labels.map(|(model, orphans, unusable)| (model.clone(), (orphans, unusable)));
        self.lock().labels = counts.collect();
    }

    /// Forgets the figures of versions that are not to be kept.
    pub(crate) fn retain_versions(&self, is_kept: impl Fn(&ModelName, ModelVersion) -> bool) {
        self.lock().versions.retain(|(model, version), _| is_kept(model, *version));
    }

    /// Takes over who serves what.
    pub(crate) fn set_serving(&self, serving: BTreeMap<Version, u64>) {
        self.lock().serving = serving;
    }

    /// Takes over what should be served.
    pub(crate) fn set_deployments<'a>(&self, deployments: impl Iterator<Item = &'a Deployment>) {
        let routes = deployments.flat_map(|deployment| {
            let of_route = |route: &leat_contract::Route| {
                ((deployment.model.clone(), route.version), (route.weight, route.digest.to_string()))
            };
            deployment.routes.iter().map(of_route).collect::<Vec<_>>()
        });
        self.lock().deployed = routes.collect();
    }

    /// Forgets the gauges of workers that are not among these: they have left or are lost.
    pub(crate) fn retain_workers(&self, present: &BTreeSet<WorkerId>) {
        let mut figures = self.lock();
        figures.workers.retain(|worker, _| present.contains(worker));
        for totals in figures.versions.values_mut() {
            totals.inflight.retain(|worker, _| present.contains(worker));
            totals.pending.retain(|worker, _| present.contains(worker));
        }
    }

    /// A message could not be used.
    pub(crate) fn dropped_event(&self) {
        self.lock().events_dropped += 1;
    }

    /// A durable request was ended because no worker had.
    pub(crate) fn durable_overdue(&self) {
        self.lock().durable_overdue += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: u32,
}

/// The labels of a version and one more with a name of its own.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct TaggedLabels<'name> {
    version: VersionLabels,
    name: &'name str,
    value: String,
}

impl EncodeLabelSet for TaggedLabels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.version.encode(encoder)?;
        (self.name, self.value.as_str()).encode(encoder.encode_label())
    }
}

/// Writes one descriptor after the other; every metric's name, help and unit stand here.
struct Writer<'encoder, 'figures> {
    encoder: DescriptorEncoder<'encoder>,
    figures: &'figures Figures,
}

impl Collector for ModelMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let figures = self.lock();
        let mut writer = Writer { encoder, figures: &figures };
        writer.requests()?;
        writer.counter("inferences", "Rows that were inferred", |totals| totals.rows)?;
        writer.counter("batches", "Runs of a model", |totals| totals.batches)?;
        writer.durations()?;
        writer
            .gauge("inflight_requests", "Requests accepted and not answered", |t| Some(sum(&t.inflight)))?;
        writer.gauge("pending_requests", "Requests waiting for a run", |t| Some(sum(&t.pending)))?;
        writer.gauge("label_coverage_ratio", "Share of recorded predictions with a label", |t| {
            t.label_coverage
        })?;
        writer.accuracy()?;
        writer.shadows()?;
        writer.caches()?;
        writer.labels()?;
        writer.deployments()?;
        writer.monitor()?;
        writer.workers()
    }
}

impl Writer<'_, '_> {
    fn requests(&mut self) -> Result<(), fmt::Error> {
        let help = "Requests answered, by outcome: ok or the code of the error";
        let mut family = self.encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for (version, totals) in &self.figures.versions {
            let failed = totals.failed.iter().map(|(code, count)| (code.to_string(), *count));
            for (outcome, count) in std::iter::once(("ok".to_owned(), totals.answered)).chain(failed) {
                let labels = tagged(version, "outcome", outcome);
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Fn(&Totals) -> u64) -> Result<(), fmt::Error> {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (version, totals) in &self.figures.versions {
            family
                .encode_family(&labels(version))?
                .encode_counter::<NoLabelSet, u64, u64>(&value(totals), None)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Totals) -> Option<f64>,
    ) -> Result<(), fmt::Error> {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (version, totals) in &self.figures.versions {
            if let Some(value) = value(totals) {
                family.encode_family(&labels(version))?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn durations(&mut self) -> Result<(), fmt::Error> {
        let (seconds, histogram) = (Some(&Unit::Seconds), MetricType::Histogram);
        let help = "From receipt by a worker to its reply";
        let mut family = self.encoder.encode_descriptor("request_duration", help, seconds, histogram)?;
        for (version, totals) in &self.figures.versions {
            totals.request.encode(family.encode_family(&labels(version))?)?;
        }
        let help = "Part of a request's time, by stage";
        let mut family = self.encoder.encode_descriptor("stage_duration", help, seconds, histogram)?;
        for (version, totals) in &self.figures.versions {
            for (stage, buckets) in [("queue", &totals.queue), ("infer", &totals.infer)] {
                buckets.encode(family.encode_family(&tagged(version, "stage", stage.to_owned()))?)?;
            }
        }
        Ok(())
    }

    fn accuracy(&mut self) -> Result<(), fmt::Error> {
        let help = "Share of labelled rows whose class was right";
        let mut family = self.encoder.encode_descriptor("accuracy_ratio", help, None, MetricType::Gauge)?;
        for (version, totals) in &self.figures.versions {
            if let Some(ratio) = totals.accuracy {
                family
                    .encode_family(&tagged(version, "kind", "realized".to_owned()))?
                    .encode_gauge(&ratio)?;
            }
        }
        Ok(())
    }

    fn shadows(&mut self) -> Result<(), fmt::Error> {
        let help = "Copies of requests for a version that is a shadow, by outcome";
        self.outcomes("shadow_requests", help, |totals| {
            let ShadowCounts { mirrored, dropped, failed, .. } = totals.shadow;
            [("answered", mirrored.saturating_sub(failed)), ("failed", failed), ("dropped", dropped)]
        })?;
        let help = "Rows of a shadow, by whether they agree with those that were sent";
        self.outcomes("shadow_rows", help, |totals| {
            let ShadowCounts { rows, disagreements, .. } = totals.shadow;
            [("agrees", rows.saturating_sub(disagreements)), ("disagrees", disagreements)]
        })
    }

    fn caches(&mut self) -> Result<(), fmt::Error> {
        let help = "Requests to a deployment that keeps answers, by whether there was one";
        self.outcomes("cache_requests", help, |totals| {
            [("hit", totals.cache.hits), ("miss", totals.cache.misses)]
        })
    }

    /// Counters of the versions for which anything was counted.
    fn outcomes<const COUNT: usize>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl Fn(&Totals) -> [(&'static str, u64); COUNT],
    ) -> Result<(), fmt::Error> {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (version, totals) in &self.figures.versions {
            let counts = counts(totals);
            if counts.iter().all(|(_, count)| *count == 0) {
                continue;
            }
            for (outcome, count) in counts {
                let labels = tagged(version, "outcome", outcome.to_owned());
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn labels(&mut self) -> Result<(), fmt::Error> {
        let help = "Labels that could not be compared, by reason: orphan without a known prediction, unusable with another \
                    number of rows or another type than it";
        let mut family =
            self.encoder.encode_descriptor("labels_unmatched", help, None, MetricType::Counter)?;
        for (model, (orphans, unusable)) in &self.figures.labels {
            for (reason, count) in [("orphan", orphans), ("unusable", unusable)] {
                family
                    .encode_family(&[("model", model.as_str()), ("reason", reason)])?
                    .encode_counter::<NoLabelSet, u64, u64>(count, None)?;
            }
        }
        Ok(())
    }

    fn deployments(&mut self) -> Result<(), fmt::Error> {
        let help = "Workers that serve a deployed version";
        let mut family = self.encoder.encode_descriptor("model_workers", help, None, MetricType::Gauge)?;
        for version in self.figures.deployed.keys() {
            let workers = self.figures.serving.get(version).copied().unwrap_or(0) as f64;
            family.encode_family(&labels(version))?.encode_gauge(&workers)?;
        }
        let help = "Share of live traffic that a version should get";
        let mut family =
            self.encoder.encode_descriptor("route_weight_ratio", help, None, MetricType::Gauge)?;
        for (version, (weight, _)) in &self.figures.deployed {
            family.encode_family(&labels(version))?.encode_gauge(&(f64::from(*weight) / 100.0))?;
        }
        let help = "A deployed version and its blob";
        let mut family = self.encoder.encode_descriptor("model_info", help, None, MetricType::Gauge)?;
        for (version, (_, digest)) in &self.figures.deployed {
            family.encode_family(&tagged(version, "digest", digest.clone()))?.encode_gauge(&1_i64)?;
        }
        Ok(())
    }

    fn monitor(&mut self) -> Result<(), fmt::Error> {
        let help = "Messages that the monitor could not use";
        let mut family =
            self.encoder.encode_descriptor("monitor_events_dropped", help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, u64>(&self.figures.events_dropped, None)?;
        let help = "Telemetry messages that never came";
        let mut family =
            self.encoder.encode_descriptor("monitor_sketch_gaps", help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, u64>(&self.figures.sketch_gaps, None)?;
        let help = "Durable requests that the monitor ended because no worker had";
        let mut family =
            self.encoder.encode_descriptor("durable_requests_overdue", help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, u64>(&self.figures.durable_overdue, None)
    }

    fn workers(&mut self) -> Result<(), fmt::Error> {
        let help = "Processor time of a worker divided by elapsed time: 1 is one busy core";
        let mut family = self.encoder.encode_descriptor("worker_cpu_ratio", help, None, MetricType::Gauge)?;
        for (worker, (cpu_ratio, _)) in &self.figures.workers {
            family.encode_family(&[("worker", worker.as_str())])?.encode_gauge(cpu_ratio)?;
        }
        let (help, bytes) = ("Memory of a worker in RAM", Some(&Unit::Bytes));
        let mut family =
            self.encoder.encode_descriptor("worker_resident_memory", help, bytes, MetricType::Gauge)?;
        for (worker, (_, resident)) in &self.figures.workers {
            family.encode_family(&[("worker", worker.as_str())])?.encode_gauge(&(*resident as f64))?;
        }
        Ok(())
    }
}

fn sum(by_worker: &BTreeMap<WorkerId, u64>) -> f64 {
    // Not `sum`, which gives -0 for no workers.
    by_worker.values().fold(0.0, |sum, count| sum + *count as f64)
}

fn labels(version: &Version) -> VersionLabels {
    VersionLabels { model: version.0.to_string(), version: version.1.get() }
}

fn tagged<'name>(version: &Version, name: &'name str, value: String) -> TaggedLabels<'name> {
    TaggedLabels { version: labels(version), name, value }
}

#[cfg(test)]
mod tests;
