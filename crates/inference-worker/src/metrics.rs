//! The metrics of a worker itself. Those of requests go to the monitor as telemetry, which merges all workers.

use leat_service_runtime::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// What a worker counts of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerMetrics {
    pub(crate) without_reply: Counter,
    pub(crate) replies_lost: Counter,
    pub(crate) predictions_dropped: Counter,
    pub(crate) loads_failed: Counter,
    pub(crate) durable_answered: Counter,
    pub(crate) durable_given_up: Counter,
    pub(crate) queued: Gauge,
    pub(crate) versions: Gauge,
}

impl WorkerMetrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let help = "Requests without a reply subject, which were dropped";
            registry.register("worker_requests_without_reply", help, own.without_reply.clone());
            let help = "Replies that could not be sent because the broker was away";
            registry.register("worker_replies_lost", help, own.replies_lost.clone());
            let help = "Predictions that were not recorded because too many waited";
            registry.register("worker_predictions_dropped", help, own.predictions_dropped.clone());
            registry.register(
                "worker_loads_failed",
                "Versions that could not be loaded",
                own.loads_failed.clone(),
            );
            let help = "Durable requests that were answered";
            registry.register("worker_durable_answered", help, own.durable_answered.clone());
            let help = "Durable requests that became dead letters";
            registry.register("worker_durable_given_up", help, own.durable_given_up.clone());
            registry.register("worker_queued_requests", "Requests that wait", own.queued.clone());
            registry.register("worker_versions", "Versions in memory", own.versions.clone());
        });
        own
    }
}
