use leat_contract::{Accuracy, Manifest};
use leat_statistics::LatencySummary;
use serde::Serialize;
use serde_json::{Value, json};

use super::scenario::{Metric, Promises};
use crate::arguments::OutputFormat;
use crate::load::LoadReport;
use crate::{Error, output};

/// Two medians of the same work differ by up to this factor from one measurement to the next.
const SAME_SPEED: f64 = 1.05;

/// What came of a story.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) metric: Metric,
    pub(crate) promises: Promises,
    pub(crate) versions: [VersionSummary; 2],
    /// The share of live traffic that the second version got while it should have had ten percent.
    pub(crate) canary_share: f64,
    /// Requests answered after one of two workers was killed.
    pub(crate) answered_after_kill: u64,
    /// Requests that were sent again while every worker was there, which should not happen.
    pub(crate) repeated_before_kill: u64,
    /// Requests that were sent again because the worker that had them was killed.
    pub(crate) repeated_after_kill: u64,
    /// Requests in all.
    pub(crate) requests: u64,
    /// Requests without an answer, by reason.
    pub(crate) failed: std::collections::BTreeMap<String, u64>,
}

/// One version.
#[derive(Debug)]
pub(crate) struct VersionSummary {
    pub(crate) manifest: Manifest,
    pub(crate) load: LoadReport,
    pub(crate) live: Accuracy,
    pub(crate) labels_sent: u64,
}

impl Summary {
    /// Prints the table, or a document.
    pub(crate) fn print(&self, format: OutputFormat) -> Result<(), Error> {
        if format == OutputFormat::Json {
            return output::json(&self.document());
        }
        let metric = self.metric.name;
        let live = format!("live {}", if metric == "accuracy" { "accuracy" } else { "mean error" });
        let held_out = format!("held-out {metric}");
        let header = [
            "version",
            "blob",
            &held_out,
            &live,
            "run, batch 1",
            "served p50",
            "served p99",
            "req/s",
            "failed requests",
        ];
        let rows = self.versions.iter().map(|version| self.row(version)).collect();
        output::line(&output::table(&header, rows));
        for line in self.remarks() {
            output::line(&line);
        }
        Ok(())
    }

    /// Whether everything that is promised was kept.
    ///
    /// # Errors
    /// [`Error::BrokenPromises`] naming each that was not.
    pub(crate) fn verdict(&self) -> Result<(), Error> {
        let expectations = self.expectations();
        let broken = expectations.iter().filter(|expectation| !expectation.is_met);
        let told = broken.map(|Expectation { what, expected, found, .. }| {
            format!("{what}: expected {expected}, found {found}")
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() { Ok(()) } else { Err(Error::BrokenPromises(told)) }
    }

    fn row(&self, version: &VersionSummary) -> Vec<String> {
        let manifest = &version.manifest;
        let served = version.load.latency.summary();
        let served = |pick: fn(&LatencySummary) -> u64| {
            served.map(|summary| format!("{:.2} ms", pick(&summary) as f64 / 1e6)).unwrap_or_default()
        };
        let latency = manifest.latency.as_ref().map(|latency| format!("{:.2} µs", latency.p50_us));
        vec![
            manifest.model.at(manifest.version).to_string(),
            output::bytes(manifest.bytes),
            format!("{:.4}", self.held_out(version)),
            live_figure(&version.live).map(|figure| format!("{figure:.4}")).unwrap_or_default(),
            latency.unwrap_or_default(),
            served(|summary| summary.p50_ns),
            served(|summary| summary.p99_ns),
            format!("{:.0}", version.load.requests_per_second()),
            version.load.failed_total().to_string(),
        ]
    }

    fn held_out(&self, version: &VersionSummary) -> f64 {
        version.manifest.metrics.get(self.metric.name).copied().unwrap_or(f64::NAN)
    }

    fn remarks(&self) -> Vec<String> {
        let [before, after] = &self.versions;
        let mut remarks = vec![
            format!(
                "{:.2}× smaller: {} against {}",
                self.times_smaller(),
                output::bytes(after.manifest.bytes),
                output::bytes(before.manifest.bytes)
            ),
            format!("canary: {:.1} % of live traffic while the route said 10 %", self.canary_share * 100.0),
            format!(
                "one of two workers killed under load: {} requests answered since, {} sent again, {} failed",
                self.answered_after_kill,
                self.repeated_after_kill,
                self.failed.values().sum::<u64>()
            ),
            format!(
                "failed requests = {} of {}, {} sent again while every worker was there",
                self.failed.values().sum::<u64>(),
                self.requests,
                self.repeated_before_kill
            ),
        ];
        if let Some((parent_us, own_us)) = self.run_us() {
            remarks.push(format!("measured in turn at batch 1: {own_us:.2} µs against {parent_us:.2} µs"));
        }
        remarks.extend(self.failed.iter().map(|(reason, count)| format!("  {count} × {reason}")));
        remarks
    }

    /// Median microseconds of one row through the first and through the second version, measured in turn by the compressor.
    fn run_us(&self) -> Option<(f64, f64)> {
        let latency = self.versions[1].manifest.latency.as_ref()?;
        Some((latency.before.as_ref()?.p50_us, latency.p50_us))
    }

    fn times_smaller(&self) -> f64 {
        let [before, after] = &self.versions;
        before.manifest.bytes as f64 / after.manifest.bytes.max(1) as f64
    }

    fn expectations(&self) -> Vec<Expectation> {
        let [before, after] = &self.versions;
        let (first, second) = (self.held_out(before), self.held_out(after));
        let failed: u64 = self.failed.values().sum();
        let metric = self.metric.name;
        let mut expectations = vec![
            expect("failed requests", failed == 0, "0", failed),
            expect(
                "requests sent again while every worker was there",
                self.repeated_before_kill == 0,
                "0",
                self.repeated_before_kill,
            ),
            expect(
                &format!("held-out {metric}"),
                first >= self.metric.least,
                &format!("at least {}", self.metric.least),
                first,
            ),
            expect(
                &format!("{metric} lost by compression"),
                first - second <= self.metric.loss_max,
                &format!("at most {}", self.metric.loss_max),
                first - second,
            ),
            expect(
                "size",
                self.times_smaller() >= self.promises.times_smaller,
                &format!("at least {} times smaller", self.promises.times_smaller),
                format!("{:.2}", self.times_smaller()),
            ),
            expect(
                "canary traffic",
                (0.05..=0.15).contains(&self.canary_share),
                "about 10 %",
                self.canary_share,
            ),
            expect(
                "requests answered after a worker was killed",
                self.answered_after_kill > 0,
                "some",
                self.answered_after_kill,
            ),
        ];
        let is_no_slower = self.run_us().is_some_and(|(parent, own)| own <= parent * SAME_SPEED);
        let found = self
            .run_us()
            .map_or("nothing measured".to_owned(), |(parent, own)| format!("{own} after {parent}"));
        expectations.push(expect(
            "microseconds per row at batch 1",
            is_no_slower,
            "no more than before",
            found,
        ));
        for version in &self.versions {
            let what = format!("labels of version {} joined by the monitor", version.manifest.version);
            let is_met = version.live.matched == version.labels_sent && live_figure(&version.live).is_some();
            expectations.push(expect(&what, is_met, &version.labels_sent.to_string(), version.live.matched));
        }
        expectations
    }

    fn document(&self) -> Value {
        let version = |version: &VersionSummary| {
            let served = version.load.latency.summary();
            json!({
                "manifest": version.manifest,
                "live": version.live,
                "requests_per_second": version.load.requests_per_second(),
                "served_p50_ms": served.map(|summary| summary.p50_ns as f64 / 1e6),
                "served_p99_ms": served.map(|summary| summary.p99_ns as f64 / 1e6),
            })
        };
        json!({
            "versions": self.versions.iter().map(version).collect::<Vec<_>>(),
            "times_smaller": self.times_smaller(),
            "canary_share": self.canary_share,
            "answered_after_kill": self.answered_after_kill,
            "repeated_before_kill": self.repeated_before_kill,
            "repeated_after_kill": self.repeated_after_kill,
            "requests": self.requests,
            "failed": self.failed,
            "expectations": self.expectations(),
            "ok": self.verdict().is_ok(),
        })
    }
}

/// One promise and what came of it.
#[derive(Debug, Serialize)]
struct Expectation {
    what: String,
    is_met: bool,
    expected: String,
    found: String,
}

fn expect(what: &str, is_met: bool, expected: &str, found: impl std::fmt::Display) -> Expectation {
    Expectation { what: what.to_owned(), is_met, expected: expected.to_owned(), found: found.to_string() }
}

/// Accuracy for classes, mean absolute error for numbers.
fn live_figure(live: &Accuracy) -> Option<f64> {
    live.ratio.or(live.mean_absolute_error)
}
