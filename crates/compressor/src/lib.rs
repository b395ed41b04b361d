//! The service that turns a compression job into a smaller or faster model version.
//!
//! It takes one job at a time, fetches the parent version and its data, sets aside the very rows the parent was measured
//! on, so that nothing is calibrated or tuned on them, compresses on a thread of its own, and registers the outcome with
//! the reports of every step and both latencies, measured in turns. It never changes or removes the parent and never
//! deploys anything.
//!
//! Reading order: [`Compressor`], [`Settings`], `compression_job` (what is fetched and computed), `parent` (the version
//! to begin with), `held_out` (which rows are set aside), `steps` (from the words of the contract to those of
//! compression), `manifest` (what the registry is told).

mod compression_job;
mod held_out;
mod manifest;
mod parent;
mod service;
mod settings;
mod steps;

pub use service::Compressor;
pub use settings::Settings;
