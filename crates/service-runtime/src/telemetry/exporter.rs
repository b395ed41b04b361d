//! Spans to a collector, OTLP over HTTP with protobuf bodies.

use std::time::Duration;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};

use super::http_client::BlockingClient;
use crate::Error;

/// Where a collector takes traces, below its base address (OTLP specification 1.x, "OTLP/HTTP Request").
const TRACES_PATH: &str = "v1/traces";
/// How long one export may take, with its retries. Spans are dropped after it, the service never waits for them.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Gives an exporter to the collector at a base address. It does not connect yet.
pub(super) fn over_http(base: &str) -> Result<SpanExporter, Error> {
    SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/{TRACES_PATH}", base.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .with_http_client(BlockingClient::new(EXPORT_TIMEOUT))
        .build()
        .map_err(|error| Error::Telemetry { reason: format!("exporter to {base} cannot be built: {error}") })
}
