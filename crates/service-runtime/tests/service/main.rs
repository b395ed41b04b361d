//! Services on a real broker: how they start, stay up, stop and fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "all of this is test code"
)]

mod broker;
#[cfg(unix)]
mod child;
mod echo;
mod life;
mod orders;
#[cfg(unix)]
mod process;
