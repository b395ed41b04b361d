//! Removing single weights by magnitude, or whole neurons by their L1 norms.

mod magnitude;
mod neurons;

pub use magnitude::{smallest_overall, smallest_per_layer};
pub use neurons::{kept_width, scores};

pub(crate) use magnitude::{by_rate, by_threshold};
pub(crate) use neurons::remove as remove_neurons;
