//! Settings that every service has besides the broker: telemetry, the HTTP port, stopping.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secret::redacted_urls;
use super::{Invalid, Validate, within};

/// Logs and traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// How log lines look on standard error.
    pub log: LogFormat,
    /// Which events and spans are kept, in the syntax of `tracing_subscriber::EnvFilter`. The NATS client logs every
    /// message at debug level, so its level stays at `warn` unless it is wanted.
    pub filter: String,
    /// Base address of an OpenTelemetry collector that takes OTLP over HTTP (`http://localhost:4318`). Traces are
    /// exported only when it is set.
    #[serde(serialize_with = "redact_optional_url")]
    pub otlp_endpoint: Option<String>,
    /// Share of new traces that are exported, 0 to 1. A trace that comes in with a request keeps its caller's decision.
    pub sample_ratio: f64,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// The port for health and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address for `/healthz`, `/readyz` and `/metrics`. Nothing listens unless it is set.
    pub bind: Option<SocketAddr>,
}

/// How long stopping may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownSettings {
    /// Time for all of stopping. The default leaves room within the 30 s that Kubernetes gives.
    pub deadline_ms: u64,
}

impl ShutdownSettings {
    /// Time for all of stopping.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: LogFormat::Text,
            filter: "info,async_nats=warn".to_owned(),
            otlp_endpoint: None,
            sample_ratio: 1.0,
        }
    }
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { deadline_ms: 25_000 }
    }
}

impl Validate for TelemetrySettings {
    fn validate(&self) -> Result<(), Invalid> {
        within("sample_ratio", self.sample_ratio, 0.0..=1.0)?;
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.filter) {
            return Err(Invalid::new("filter", format!("'{}' is not a filter: {error}", self.filter)));
        }
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(()) };
        let is_http = endpoint.starts_with("http://") || endpoint.starts_with("https://");
        if is_http {
            return Ok(());
        }
        Err(Invalid::new(
            "otlp_endpoint",
            format!("'{}' does not start with http:// or https://", redacted_urls(endpoint)),
        ))
    }
}

impl Validate for HttpSettings {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Validate for ShutdownSettings {
    fn validate(&self) -> Result<(), Invalid> {
        within("deadline_ms", self.deadline_ms, 100..=600_000)
    }
}

fn redact_optional_url<S: serde::Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(redacted_urls).serialize(serializer)
}
