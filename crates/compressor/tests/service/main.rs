//! The compressor with a real broker, on a model that a real trainer made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how the helpers of a test fail"
)]

mod interruptions;
mod running;
mod versions;
