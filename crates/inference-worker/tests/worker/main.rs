//! Workers on a real broker: every form of a request, every error, routes that move, workers that leave, a broker that dies.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that uses them"
)]

mod answers;
mod at_once;
mod batching;
mod cluster;
mod durable;
mod kept_blobs;
mod lifetime;
mod load;
mod models;
mod observation;
mod overload;
mod payloads;
mod refusals;
mod rollout;
mod routes;
