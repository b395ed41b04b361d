//! The service that turns a training job into a model version.
//!
//! It takes one job at a time, fetches the table the job names, trains on a thread of its own, saves its state on the
//! way, and registers what came out together with how good and how fast it is. The same job gives the same bytes. It
//! never deploys anything and never compresses a model.
//!
//! Reading order: [`Trainer`], [`Settings`], `training_job` (what is fetched and computed), `recipe` (from the words of
//! the contract to those of training), `manifest` (what the registry is told).

mod manifest;
mod recipe;
mod service;
mod settings;
mod training_job;

pub use service::Trainer;
pub use settings::Settings;
