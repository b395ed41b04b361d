//! Where settings come from, merged: the only place that names the `config` crate.

use std::ffi::OsString;
use std::path::Path;

use config::{Config, ConfigError, Environment, File, FileFormat};
use serde::de::DeserializeOwned;

use super::section_name;
use crate::Error;

/// Sections that any service may have in a shared file, besides its own.
const SECTIONS: [&str; 9] = [
    "nats",
    "telemetry",
    "http",
    "shutdown",
    "trainer",
    "compressor",
    "inference_worker",
    "monitor",
    "gateway",
];

/// Variables with names that others chose, and the settings they mean.
const FOREIGN_VARIABLES: [(&str, &str); 2] =
    [("NATS_URL", "nats.url"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint")];

const PREFIX: &str = "LEAT_";
const SEPARATOR: &str = "__";

/// Merged values by section.
pub(super) struct Sources {
    merged: Config,
}

impl Sources {
    pub(super) fn read(
        service: &str,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let variables: Vec<(String, String)> = environment.filter(|(_, value)| !value.is_empty()).collect();
        let mut builder = Config::builder();
        if let Some(path) = file {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml).required(true));
        }
        for (name, setting) in FOREIGN_VARIABLES {
            if let Some((_, value)) = variables.iter().find(|(variable, _)| variable == name) {
                builder = builder.add_source(one_value(setting, value)?);
            }
        }
        let merged = builder.add_source(ours(variables)).build().map_err(|source| match file {
            Some(path) => Error::SettingsFile { path: path.to_owned(), source: Box::new(source) },
            None => Error::Settings { section: "environment".to_owned(), reason: source.to_string() },
        })?;
        let sources = Self { merged };
        sources.refuse_unknown_sections(service)?;
        Ok(sources)
    }

    /// Gives one section, or its default when nothing is set in it.
    pub(super) fn section<T: Default + DeserializeOwned>(&self, section: &str) -> Result<T, Error> {
        match self.merged.get::<T>(section) {
            Ok(values) => Ok(values),
            Err(ConfigError::NotFound(_)) => Ok(T::default()),
            Err(error) => Err(Error::Settings { section: section.to_owned(), reason: error.to_string() }),
        }
    }

    fn refuse_unknown_sections(&self, service: &str) -> Result<(), Error> {
        let sections = self.merged.cache.clone().into_table().unwrap_or_default();
        let own = section_name(service);
        let is_known = |section: &String| *section == own || SECTIONS.contains(&section.as_str());
        match sections.keys().filter(|section| !is_known(section)).min() {
            None => Ok(()),
            Some(unknown) => Err(Error::Settings {
                section: unknown.clone(),
                reason: format!("unknown section, expected one of {}", SECTIONS.join(", ")),
            }),
        }
    }
}

/// Gives a variable of the environment when its name and value are text.
pub(super) fn readable((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// Only names with a section count: other `LEAT_` variables belong to somebody else, for example to Kubernetes, which
/// describes a service called `leat` that way.
fn ours(variables: Vec<(String, String)>) -> Environment {
    let has_section = |name: &str| name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains(SEPARATOR));
    let named = variables.into_iter().filter(|(name, _)| has_section(name)).collect();
    Environment::with_prefix("LEAT").prefix_separator("_").separator(SEPARATOR).source(Some(named))
}

fn one_value(setting: &str, value: &str) -> Result<Config, Error> {
    let built = Config::builder().set_override(setting, value).and_then(|builder| builder.build());
    built.map_err(|error| Error::Settings { section: setting.to_owned(), reason: error.to_string() })
}
