//! The registry of a service's metrics, and the metrics that every service has.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::{Connections, Error, Readiness, process_usage};

/// First word of every metric of ours; process metrics have none, by custom.
const PREFIX: &str = "leat";

/// Names, units and help of the metrics that every service has. The encoder adds the unit and `_total`.
mod names {
    use super::Unit;

    pub(super) const CPU: (&str, &str, Unit) =
        ("process_cpu", "User and system time of all threads", Unit::Seconds);
    pub(super) const RESIDENT: (&str, &str, Unit) = ("process_resident_memory", "Memory in RAM", Unit::Bytes);
    pub(super) const OPEN_FDS: (&str, &str) = ("process_open_fds", "Open file descriptors");
    pub(super) const START_TIME: (&str, &str, Unit) =
        ("process_start_time", "When the process started, since 1970", Unit::Seconds);
    pub(super) const RECONNECTS: (&str, &str) =
        ("broker_reconnects", "Connections to the broker that were restored");
    pub(super) const LOST: (&str, &str) =
        ("broker_lost_messages", "Messages dropped because a subscription was not read fast enough");
    pub(super) const READY: (&str, &str) = ("ready", "1 when the service takes work, 0 when not");
}

/// The metrics of one service. A cheap handle on one registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// Gives a registry with the metrics of the process and of readiness in it.
    pub fn new(readiness: Readiness) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        registry
            .sub_registry_with_prefix(PREFIX)
            .register_collector(Box::new(ReadinessCollector { readiness }));
        Self { registry: Arc::new(Mutex::new(registry)) }
    }

    /// Registers metrics; names get the prefix `leat_`.
    ///
    /// ```
    /// # use leat_service_runtime::{Metrics, Readiness};
    /// use prometheus_client::metrics::counter::Counter;
    /// # let metrics = Metrics::new(Readiness::default());
    /// let jobs = Counter::<u64>::default();
    /// metrics.register(|registry| registry.register("jobs", "Jobs that ended", jobs.clone()));
    /// jobs.inc();
    /// assert!(metrics.encode().unwrap().contains("leat_jobs_total 1"));
    /// ```
    pub fn register(&self, registration: impl FnOnce(&mut Registry)) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registration(registry.sub_registry_with_prefix(PREFIX));
    }

    /// Adds what the connections count.
    pub(crate) fn watch_connections(&self, connections: &Connections) {
        let collector = ConnectionCollector { connections: connections.clone() };
        self.register(|registry| registry.register_collector(Box::new(collector)));
    }

    /// Gives every metric as OpenMetrics text.
    pub fn encode(&self) -> Result<String, Error> {
        let mut encoded = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut encoded, &registry)
            .map_err(|error| Error::Telemetry { reason: format!("metrics cannot be encoded: {error}") })?;
        Ok(encoded)
    }
}

#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(usage) = process_usage() else { return Ok(()) };
        let (name, help, unit) = names::CPU;
        let cpu = ConstCounter::new(usage.cpu_seconds_total);
        cpu.encode(encoder.encode_descriptor(name, help, Some(&unit), cpu.metric_type())?)?;
        let (name, help, unit) = names::RESIDENT;
        let resident = ConstGauge::new(usage.resident_bytes as f64);
        resident.encode(encoder.encode_descriptor(name, help, Some(&unit), resident.metric_type())?)?;
        let (name, help) = names::OPEN_FDS;
        let open_fds = ConstGauge::new(usage.open_fds as f64);
        open_fds.encode(encoder.encode_descriptor(name, help, None, open_fds.metric_type())?)?;
        let (name, help, unit) = names::START_TIME;
        let start_time = ConstGauge::new(usage.start_time_seconds);
        start_time.encode(encoder.encode_descriptor(name, help, Some(&unit), start_time.metric_type())?)
    }
}

#[derive(Debug)]
struct ReadinessCollector {
    readiness: Readiness,
}

impl Collector for ReadinessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (name, help) = names::READY;
        let ready = ConstGauge::new(i64::from(self.readiness.is_ready()));
        ready.encode(encoder.encode_descriptor(name, help, None, ready.metric_type())?)
    }
}

#[derive(Debug)]
struct ConnectionCollector {
    connections: Connections,
}

impl Collector for ConnectionCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = [
            (names::RECONNECTS, self.connections.reconnects()),
            (names::LOST, self.connections.lost_messages()),
        ];
        for ((name, help), count) in counts {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_a_metric() {
        let readiness = Readiness::default();
        let metrics = Metrics::new(readiness.clone());
        assert!(metrics.encode().unwrap().contains("leat_ready 0\n"));
        readiness.set_ready();
        assert!(metrics.encode().unwrap().contains("leat_ready 1\n"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_metrics_have_the_names_that_dashboards_expect() {
        let text = Metrics::new(Readiness::default()).encode().unwrap();
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_start_time_seconds ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
