//! Where events and spans of `tracing` go.

use std::io::IsTerminal;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::{Error, LogFormat, TelemetrySettings};

/// Filter, then spans to OpenTelemetry, then log lines to standard error: standard output belongs to results.
pub(super) fn build(settings: &TelemetrySettings, tracer: SdkTracer) -> Result<Dispatch, Error> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| Error::Telemetry {
        reason: format!("'{}' is not a filter: {error}", settings.filter),
    })?;
    let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    let is_terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(is_terminal);
    let lines = match settings.log {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    Ok(Dispatch::new(Registry::default().with(filter).with(spans).with(lines)))
}
