//! Clipping, quantization, pruning and distillation of a model, each with a report.
//!
//! [`compress`] takes a model through a list of [`Step`]s. Every step appends a [`leat_model::CompressionReport`] that says
//! what it changed and what it cost on rows the model never saw. The same model, steps, data and seed give the same bytes.
//!
//! This crate never fetches a model, never looks at a clock and never chooses anything by the held-out rows: they are
//! only measured on.
//!
//! Reading order: [`Step`], [`compress()`], [`Progress`], then one module per kind of step: [`clip`], [`quantize`], [`prune`], and
//! the private `retrain` that repairs a network after pruning and teaches a smaller one. [`training_recipe`] reads a lineage.

mod compress;
mod error;
mod layers;
mod lineage;
mod progress;
mod report;
mod retrain;
mod sequence;
mod step;
mod training_rows;
mod transfer_set;

pub mod clip;
pub mod prune;
pub mod quantize;

pub use compress::{CompressionData, compress};
pub use error::Error;
pub use lineage::training_recipe;
pub use progress::{Progress, Work};
pub use step::{Calibration, ClipMode, Prune, Quantize, Scope, Step};
