//! Settings of one service: typed, bounded, from defaults, a TOML file and the environment, in that order.
//!
//! The file has one section for each concern (`[nats]`, `[telemetry]`, `[http]`, `[shutdown]`) and one for each service
//! (`[inference_worker]`), so that a whole deployment can share it: a service reads its own section and ignores those of
//! others. Unknown keys in a section it reads, and sections that nobody has, are refused. The environment overrides the
//! file as `LEAT_<SECTION>__<FIELD>`, for example `LEAT_INFERENCE_WORKER__QUEUE_MAX=512`; an empty variable counts as
//! unset. `NATS_URL` and `OTEL_EXPORTER_OTLP_ENDPOINT` work too and rank just below their `LEAT_` equivalents.

mod nats;
mod platform;
mod secret;
mod sources;
mod validate;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::info;

pub use nats::NatsSettings;
pub use platform::{HttpSettings, LogFormat, ShutdownSettings, TelemetrySettings};
pub use secret::Secret;
pub use validate::{Invalid, Validate, at_most, within};

use crate::Error;

/// What a service's own settings must be. Implemented for every type that has the parts, so a service derives them and
/// writes [`Validate`]. Use `#[serde(default, deny_unknown_fields)]` on the type.
pub trait ServiceSettings:
    Validate + Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<S> ServiceSettings for S where
    S: Validate + Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// Everything one service is told from outside.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Settings<S> {
    /// The broker and how to reach it.
    pub nats: NatsSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// The port for health and metrics.
    pub http: HttpSettings,
    /// How long stopping may take.
    pub shutdown: ShutdownSettings,
    /// The service's own settings.
    pub service: S,
}

/// Reads, checks and gives the settings of a service. `service` is its name in kebab case (`inference-worker`), `file` a
/// TOML file that must exist when given. Fails with the section, the field and the reason.
pub fn load_settings<S: ServiceSettings>(service: &str, file: Option<&Path>) -> Result<Settings<S>, Error> {
    load_from(service, file, std::env::vars_os().filter_map(sources::readable))
}

fn load_from<S: ServiceSettings>(
    service: &str,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings<S>, Error> {
    let sources = sources::Sources::read(service, file, environment)?;
    let settings = Settings {
        nats: sources.section("nats")?,
        telemetry: sources.section("telemetry")?,
        http: sources.section("http")?,
        shutdown: sources.section("shutdown")?,
        service: sources.section(&section_name(service))?,
    };
    settings.validate(service)?;
    Ok(settings)
}

impl<S: ServiceSettings> Settings<S> {
    /// Checks every value, as [`load_settings`] does. Call it again after changing values in code.
    pub fn validate(&self, service: &str) -> Result<(), Error> {
        let in_section = |section: &str, checked: Result<(), Invalid>| {
            checked.map_err(|invalid| Error::Settings {
                section: section.to_owned(),
                reason: invalid.to_string(),
            })
        };
        in_section("nats", self.nats.validate())?;
        in_section("telemetry", self.telemetry.validate())?;
        in_section("http", self.http.validate())?;
        in_section("shutdown", self.shutdown.validate())?;
        let own = self.service.validate();
        in_section(
            &section_name(service),
            own.and_then(|()| self.service.validate_stopping(self.shutdown.deadline())),
        )
    }

    /// Logs the values in force, once, with secrets redacted.
    pub(crate) fn log_effective(&self) {
        match serde_json::to_string(self) {
            Ok(settings) => info!(%settings, "settings in force"),
            Err(error) => tracing::warn!(%error, "settings cannot be shown"),
        }
    }
}

/// The section and environment name of a service: its name in snake case.
fn section_name(service: &str) -> String {
    service.replace('-', "_")
}

#[cfg(test)]
mod tests;
