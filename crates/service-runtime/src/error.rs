//! Why a service does not start, or did not end well.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::exit_code;

/// Why a service does not start, or did not end well. Each has an exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings file cannot be read.
    #[error("settings file {} cannot be used: {source}", path.display())]
    SettingsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<config::ConfigError>,
    },
    /// A setting cannot be used.
    #[error("settings in section '{section}' cannot be used: {reason}")]
    Settings {
        /// The section, in snake case.
        section: String,
        /// The field, the value and what is wrong with it.
        reason: String,
    },
    /// Logs, traces or metrics cannot be set up or sent.
    #[error("telemetry failed: {reason}")]
    Telemetry {
        /// What failed.
        reason: String,
    },
    /// The port for health and metrics cannot be bound.
    #[error("health port {address} cannot be bound: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A service on this machine is not ready.
    #[error("service at {address} is not ready: {reason}")]
    Probe {
        /// The address that was asked.
        address: SocketAddr,
        /// Its reasons, or why it did not answer.
        reason: String,
    },
    /// Threads or signals are not to be had.
    #[error("the system refuses {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The broker refused, cannot be reached, or is too old.
    #[error("broker: {0}")]
    Messaging(#[from] leat_messaging::Error),
    /// A background task failed.
    #[error("task {name} failed: {reason}")]
    Task {
        /// The task.
        name: &'static str,
        /// Its error or panic.
        reason: String,
    },
    /// The service itself failed.
    #[error("service {name} failed: {reason}")]
    Service {
        /// The service.
        name: &'static str,
        /// Its error or panic.
        reason: String,
    },
    /// A step of stopping did not end within its share of the deadline and was cut off.
    #[error("stopping was cut off: {step} was not done after {limit_ms} ms")]
    ShutdownIncomplete {
        /// The step.
        step: &'static str,
        /// Milliseconds from the start of stopping to the end of its share of the deadline.
        limit_ms: u64,
    },
}

impl Error {
    /// The exit code of a process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::SettingsFile { .. } | Self::Settings { .. } => exit_code::SETTINGS,
            Self::Bind { .. } | Self::System { .. } => exit_code::MACHINE,
            Self::Messaging(leat_messaging::Error::Unauthorized { .. }) => exit_code::REFUSED,
            Self::Messaging(_) | Self::Probe { .. } => exit_code::UNAVAILABLE,
            Self::Telemetry { .. } | Self::Task { .. } | Self::Service { .. } => exit_code::FAILED,
            Self::ShutdownIncomplete { .. } => exit_code::INCOMPLETE,
        }
    }
}
