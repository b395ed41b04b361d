//! Removing single weights by magnitude, or blocks of weights or whole neurons by their L1 norms.

mod blocks;
mod magnitude;
mod neurons;

pub use magnitude::{smallest_overall, smallest_per_layer};
pub use neurons::{kept_width, scores};

pub(crate) use blocks::by_blocks;
pub(crate) use magnitude::{by_rate, by_threshold};
pub(crate) use neurons::remove as remove_neurons;
