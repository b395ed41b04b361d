//! The metrics of a worker itself. Those of requests go to the monitor as telemetry, which merges all workers.

use leat_service_runtime::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

/// Upper bounds of the sizes of bodies that are objects: 1 MiB to 1 GiB.
const BODY_BYTES: [f64; 6] =
    [1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0, 268_435_456.0, 1_073_741_824.0];

/// What a worker counts of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerMetrics {
    pub(crate) without_reply: Counter,
    pub(crate) replies_lost: Counter,
    pub(crate) predictions_dropped: Counter,
    pub(crate) loads_failed: Counter,
    pub(crate) blobs_fetched: Counter,
    pub(crate) blobs_from_cache: Counter,
    pub(crate) durable_answered: Counter,
    pub(crate) durable_given_up: Counter,
    pub(crate) durable_repeated: Counter,
    pub(crate) bodies: BodySizes,
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
            let help = "Models that were fetched from the broker";
            registry.register("worker_blobs_fetched", help, own.blobs_fetched.clone());
            let help = "Models that were read from the folder in which they are kept";
            registry.register("worker_blobs_from_cache", help, own.blobs_from_cache.clone());
            let help = "Durable requests that were answered";
            registry.register("worker_durable_answered", help, own.durable_answered.clone());
            let help = "Durable requests that became dead letters";
            registry.register("worker_durable_given_up", help, own.durable_given_up.clone());
            let help = "Durable requests that were not asked because their answer was kept already";
            registry.register("worker_durable_repeated", help, own.durable_repeated.clone());
            let help = "Bodies that were objects because no message can hold them";
            registry.register_with_unit("worker_object_body", help, Unit::Bytes, own.bodies.0.clone());
            registry.register("worker_queued_requests", "Requests that wait", own.queued.clone());
            registry.register("worker_versions", "Versions in memory", own.versions.clone());
        });
        own
    }
}

/// How large the bodies were that were objects. Clones share the figures.
#[derive(Debug, Clone)]
pub(crate) struct BodySizes(Family<BodyLabels, Histogram, fn() -> Histogram>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BodyLabels {
    of: &'static str,
}

impl BodySizes {
    pub(crate) fn request(&self, bytes: usize) {
        self.observe("request", bytes);
    }

    pub(crate) fn reply(&self, bytes: usize) {
        self.observe("reply", bytes);
    }

    fn observe(&self, of: &'static str, bytes: usize) {
        self.0.get_or_create(&BodyLabels { of }).observe(bytes as f64);
    }
}

impl Default for BodySizes {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(BODY_BYTES)))
    }
}

#[cfg(test)]
mod tests {
    use leat_service_runtime::Readiness;

    use super::*;

    #[test]
    fn bodies_that_are_objects_are_counted_by_size_and_direction() {
        let metrics = Metrics::new(Readiness::default());
        let own = WorkerMetrics::new(&metrics);
        own.bodies.request(3 << 20);
        own.bodies.reply(1 << 20);
        own.bodies.reply(2 << 30);
        let text = metrics.encode().unwrap();
        for line in [
            r#"worker_object_body_bytes_sum{of="request"} 3145728.0"#,
            r#"worker_object_body_bytes_bucket{le="1048576.0",of="request"} 0"#,
            r#"worker_object_body_bytes_bucket{le="4194304.0",of="request"} 1"#,
            r#"worker_object_body_bytes_bucket{le="1048576.0",of="reply"} 1"#,
            r#"worker_object_body_bytes_bucket{le="1073741824.0",of="reply"} 1"#,
            r#"worker_object_body_bytes_count{of="reply"} 2"#,
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
    }
}
