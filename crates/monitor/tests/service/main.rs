//! The monitor on a real broker.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that uses them"
)]

mod overdue;
mod support;
mod windows;
