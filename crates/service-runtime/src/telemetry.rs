//! Logs on standard error and traces for OpenTelemetry, set up once for a process.

mod exporter;
mod http_client;
mod subscriber;

use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Dispatch;

use crate::{Error, TelemetrySettings};

/// Logs and traces of this process, until it is shut down.
///
/// Trace context always travels (W3C `traceparent`). Spans leave the process only when a collector is configured; without
/// one, a trace that begins here is marked as not sampled, which keeps spans cheap.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Sets up logs and traces for the whole process. `service` names it to people (`inference-worker`), `instance` tells
    /// it from others of its kind. Fails when called twice and when the settings cannot be used.
    pub fn init(service: &str, instance: &str, settings: &TelemetrySettings) -> Result<Self, Error> {
        let (telemetry, dispatch) = Self::build(service, instance, settings)?;
        tracing::dispatcher::set_global_default(dispatch)
            .map_err(|_| Error::Telemetry { reason: "logs are already set up in this process".to_owned() })?;
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(telemetry.provider.clone());
        Ok(telemetry)
    }

    /// Exports the spans that wait, for at most this long, and stops. It blocks: call it outside of an async runtime.
    pub fn shutdown(self, deadline: Duration) -> Result<(), Error> {
        self.provider
            .shutdown_with_timeout(deadline)
            .map_err(|error| Error::Telemetry { reason: format!("spans were lost: {error}") })
    }

    fn build(service: &str, instance: &str, settings: &TelemetrySettings) -> Result<(Self, Dispatch), Error> {
        let mut builder = SdkTracerProvider::builder().with_resource(resource(service, instance));
        builder = match &settings.otlp_endpoint {
            Some(endpoint) => builder
                .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                    settings.sample_ratio,
                ))))
                .with_batch_exporter(exporter::over_http(endpoint)?),
            None => builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff))),
        };
        let provider = builder.build();
        let dispatch = subscriber::build(settings, provider.tracer("leat"))?;
        Ok((Self { provider }, dispatch))
    }
}

fn resource(service: &str, instance: &str) -> Resource {
    use opentelemetry::KeyValue;
    Resource::builder()
        .with_service_name(format!("leat-{service}"))
        .with_attribute(KeyValue::new("service.namespace", "leat"))
        .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

#[cfg(test)]
mod tests;
