//! Services on a real broker: how they start, stay up, stop and fail.

mod broker;
#[cfg(unix)]
mod child;
#[cfg(unix)]
mod collector;
mod echo;
mod life;
mod orders;
#[cfg(unix)]
mod process;
