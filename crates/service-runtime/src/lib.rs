//! Settings, telemetry, health and ordered shutdown, the same for every service.
//!
//! The crate never handles a message of a service, knows no model and keeps no data. It starts what a service needs,
//! hands it over, and takes it down in order.
//!
//! In reading order:
//! - [`settings`]: defaults, file, environment; checked before anything starts.
//! - [`telemetry`]: logs and traces.
//! - [`readiness`], [`metrics`], [`health`]: what the outside can ask.
//! - [`tasks`]: background tasks that cannot end unnoticed.
//! - [`Connections`], [`Context`]: what a running service is handed.
//! - [`service`]: what a service is, and how it starts, runs and stops.
//! - [`unix_ms`]: the time as documents and messages hold it.
//! - [`jobs`]: long work that is taken from a queue, done once and never lost.

mod connections;
mod context;
mod control;
mod error;
pub mod exit_code;
pub mod health;
mod inflight;
pub mod jobs;
pub mod metrics;
mod process;
pub mod readiness;
pub mod service;
pub mod settings;
mod signals;
mod stop;
pub mod tasks;
pub mod telemetry;
mod unix_time;

pub use connections::Connections;
pub use context::Context;
pub use error::Error;
pub use health::{Health, probe};
pub use inflight::{Inflight, InflightGuard};
pub use metrics::Metrics;
pub use process::{ProcessUsage, process_usage};
pub use readiness::{Readiness, ReadinessReport};
pub use service::{Service, run_service, serve};
pub use settings::{
    HttpSettings, Invalid, LogFormat, NatsSettings, Secret, ServiceSettings, Settings, ShutdownSettings,
    TelemetrySettings, Validate, at_most, load_settings, within,
};
pub use tasks::Tasks;
pub use telemetry::Telemetry;
pub use unix_time::unix_ms;
