//! Jobs: taken from a queue, computed on a thread of their own, and registered exactly once, whatever dies on the way.
//!
//! A service says by [`Work`] what one kind of job is; [`run`] does the rest. It never looks into a model or a data set.
//!
//! Three things keep a job from being lost or done twice. The message stays in the queue until the end of the job is
//! written down, and is given to another worker when the one that has it falls silent. Every worker that takes a job
//! raises the epoch in its status document, and every later write checks it, so that a worker that was given up can
//! change nothing any more. A new version is created under a number that the document reserved, and names its job, so
//! that a successor finds it instead of making a second one.
//!
//! Reading order: [`Work`], [`Pulse`], [`Failure`], [`Product`], [`fetch`]; then `runner` (the loop), `intake` (taking a
//! job), `document` (the fenced status), `attempt` (from taken to ended), `compute` (the thread), `checkpoints`,
//! `registration`, `conclusion` (the one place that ends a message), `events`, `instruments`.

mod attempt;
mod checkpoints;
mod compute;
mod conclusion;
mod document;
mod events;
mod failure;
mod instruments;
mod intake;
mod pulse;
mod registration;
mod runner;
mod setback;
mod supplies;
mod work;

pub use failure::Failure;
pub use pulse::Pulse;
pub use runner::{Limits, run};
pub use supplies::fetch;
pub use work::{Product, Work};
