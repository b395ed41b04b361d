//! The metrics of the gateway. Names and help stand here only.

use std::time::{Duration, Instant};

use leat_service_runtime::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

/// Upper bounds of the duration histogram: 0.1 ms to 10 s.
const SECONDS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 3.0,
    10.0,
];

/// What the gateway counts. Clones share the figures.
#[derive(Debug, Clone)]
pub(crate) struct EdgeMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
    inflight: Gauge,
    connections: Gauge,
}

/// Something that is counted as long as it is there.
#[derive(Debug)]
pub(crate) struct Present(Gauge);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    protocol: &'static str,
    operation: &'static str,
    /// The status of HTTP, or that of gRPC, which is below 20.
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    protocol: &'static str,
    operation: &'static str,
}

impl EdgeMetrics {
    /// Registers everything.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let edge = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            inflight: Gauge::default(),
            connections: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "gateway_requests",
                "Requests that were answered, by protocol, operation and status code",
                edge.requests.clone(),
            );
            registry.register_with_unit(
                "gateway_request_duration",
                "From the headers of a request to its whole reply",
                Unit::Seconds,
                edge.durations.clone(),
            );
            registry.register("gateway_inflight", "Requests that are being answered", edge.inflight.clone());
            registry.register("gateway_connections", "Open connections", edge.connections.clone());
        });
        edge
    }

    /// Counts a request until it is answered or given up.
    pub(crate) fn request(&self) -> Present {
        self.inflight.inc();
        Present(self.inflight.clone())
    }

    /// Counts a connection until it is closed.
    pub(crate) fn connection(&self) -> Present {
        self.connections.inc();
        Present(self.connections.clone())
    }

    /// Counts one answered request.
    pub(crate) fn answered(
        &self,
        protocol: &'static str,
        operation: &'static str,
        code: u16,
        began: Instant,
    ) {
        self.requests.get_or_create(&RequestLabels { protocol, operation, code }).inc();
        let seconds = began.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
        self.durations.get_or_create(&OperationLabels { protocol, operation }).observe(seconds);
    }
}
