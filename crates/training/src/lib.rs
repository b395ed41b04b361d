//! Makes a model from a table: data sets, losses, optimisers, backpropagation, fitting, distillation and metrics.
//!
//! This crate never reads a file, looks at a clock, starts a thread or talks to a broker. It takes bytes and arrays and
//! gives a [`leat_model::Model`]; the same data, recipe and seed give the same bytes on the same kind of processor.
//!
//! Reading order: [`Dataset`], [`Recipe`], [`Fit`] (with [`Checkpoint`] and [`Teacher`]), [`build_model`], [`evaluate()`],
//! [`metrics`]. The short way through all epochs is [`train`], [`fine_tune`] or [`distil`].

mod activation;
mod assemble;
mod backpropagation;
mod checkpoint;
mod dataset;
mod early_stopping;
mod error;
mod evaluate;
mod fit;
#[cfg(test)]
mod fixtures;
mod loss;
mod optimiser;
mod parameters;
mod prepare;
mod profile;
mod random;
mod recipe;
mod run;
mod teacher;

pub mod metrics;

pub use assemble::{Assembly, build_model};
pub use checkpoint::Checkpoint;
pub use dataset::{CELLS_MAX, CLASSES_MAX, CsvOptions, Dataset, FEATURES_MAX, ROWS_MAX, Split, Target};
pub use error::{CsvProblem, Error};
pub use evaluate::{evaluate, predict};
pub use fit::{EpochReport, Fit, Trained};
pub use metrics::Metrics;
pub use profile::reference_profile;
pub use recipe::{BatchSize, EarlyStopping, HELD_OUT_RATIO, Loss, Optimiser, Recipe};
pub use run::{Observer, distil, fine_tune, train};
pub use teacher::Teacher;
