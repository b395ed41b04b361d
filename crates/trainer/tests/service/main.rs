//! The trainer with a real broker: what becomes of jobs, whatever happens meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in what it calls too")]

mod endings;
mod interruptions;
mod running;
mod versions;
