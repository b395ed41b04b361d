//! What a plan promises: right answers, the same bits in every batch and on every processor, and refusals instead of nonsense.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

mod dividing;
mod encodings;
mod forward;
mod invariance;
mod measuring;
mod memory;
mod models;
mod preparation;
mod refusals;
mod sharing;
