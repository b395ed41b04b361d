//! The trainer with a real broker: what becomes of jobs, whatever happens meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how the helpers of a test fail"
)]

mod endings;
mod interruptions;
mod running;
mod versions;
