//! A model compiled to a plan that runs a batch.
//!
//! [`compile`] turns a [`leat_model::Model`] into a [`Plan`]: raw rows in, predictions or probabilities out. A row's answer
//! has the same bits in every batch and on every processor, whatever was measured to be the fastest way when the plan was made. A plan
//! allocates nothing in steady state: its working memory is a [`Scratch`] that the caller keeps, one per thread. A [`Team`] of threads
//! shares the rows of large batches, or the outputs of large layers where there are few rows, and keeps working memory of its own, which likewise grows once.
//!
//! This crate never changes a model, never trains, and knows no broker and no file. Only [`measure`] looks at a clock.
//!
//! Reading order: [`Plan`], [`Batch`], [`Scratch`], [`Divisible`], [`Team`], [`compile`], `native`, [`measure`].

mod compile;
mod divisible;
mod error;
mod native;
mod plan;
mod scratch;
mod team;

pub mod measure;

pub use compile::{compile, compile_with};
pub use divisible::{Activations, ActivationsMut, Divisible, Piece, Stage};
pub use error::Error;
pub use leat_kernels::{Aligned, Kernels};
pub use plan::{Batch, Plan};
pub use scratch::Scratch;
pub use team::Team;
