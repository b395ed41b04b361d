//! Services on a real broker: how they start, stay up, stop and fail.

mod broker;
mod child;
mod collector;
mod echo;
mod life;
mod orders;
mod process;
