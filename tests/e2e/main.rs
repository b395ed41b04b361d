//! The whole system, as its users meet it: real processes, a real broker, real requests.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in what it calls too")]

mod bench;
mod broker_restart;
mod command_line;
mod fitting;
mod gateway;
mod hostile_producers;
mod introspection;
mod jobs;
mod many_models;
mod process;
mod python_client;
mod refusals;
mod routes;
mod scaling;
mod soak;
mod town;
mod worker_loss;
