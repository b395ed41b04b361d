//! What is counted about jobs.

use std::time::Duration;

use leat_contract::JobKind;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Unit;

use crate::Metrics;

const JOBS: (&str, &str) = ("jobs", "Attempts at jobs that ended, by kind and outcome");
const DURATION: (&str, &str) = ("job_duration", "How long attempts at jobs took");
const RUNNING: (&str, &str) = ("jobs_running", "Jobs that are being worked on");

/// From a tenth of a second to about seven hours.
const BUCKET_FIRST: f64 = 0.1;
const BUCKET_FACTOR: f64 = 4.0;
const BUCKETS: u16 = 10;

type KindLabel = [(&'static str, &'static str); 1];
type OutcomeLabels = [(&'static str, &'static str); 2];

/// What is counted about jobs of one kind.
#[derive(Debug, Clone)]
pub(super) struct Instruments {
    kind: &'static str,
    ended: Family<OutcomeLabels, Counter>,
    duration: Family<KindLabel, Histogram>,
    pub(super) running: Gauge,
}

impl Instruments {
    pub(super) fn register(metrics: &Metrics, kind: JobKind) -> Self {
        let histogram = || Histogram::new(exponential_buckets(BUCKET_FIRST, BUCKET_FACTOR, BUCKETS));
        let instruments = Self {
            kind: kind.as_str(),
            ended: Family::default(),
            duration: Family::new_with_constructor(histogram as fn() -> Histogram),
            running: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(JOBS.0, JOBS.1, instruments.ended.clone());
            registry.register_with_unit(DURATION.0, DURATION.1, Unit::Seconds, instruments.duration.clone());
            registry.register(RUNNING.0, RUNNING.1, instruments.running.clone());
        });
        instruments
    }

    pub(super) fn ended(&self, outcome: &'static str, took: Duration) {
        self.ended.get_or_create(&[("kind", self.kind), ("outcome", outcome)]).inc();
        self.duration.get_or_create(&[("kind", self.kind)]).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Readiness;

    #[test]
    fn attempts_are_counted_by_outcome_and_timed_in_seconds() {
        let metrics = Metrics::new(Readiness::default());
        let instruments = Instruments::register(&metrics, JobKind::Train);
        instruments.ended("failed", Duration::from_millis(1_500));
        let text = metrics.encode().unwrap();
        for line in [
            r#"leat_jobs_total{kind="train",outcome="failed"} 1"#,
            r#"leat_job_duration_seconds_sum{kind="train"} 1.5"#,
            "leat_jobs_running 0",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}
