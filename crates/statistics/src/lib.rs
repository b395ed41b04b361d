//! Mergeable sketches and pure statistics over counts.
//!
//! Every function takes counts or samples and gives numbers. The crate never reads a clock, never does input or
//! output, never keeps a global and never panics on bytes that came from elsewhere.
//!
//! In reading order:
//! - [`latency`]: the histogram that every worker fills and the monitor adds up, exactly.
//! - [`throughput`]: counters of one window and the rates they give.
//! - [`sequence`]: gaps and repeats in numbered reports.
//! - [`interval`]: how far a ratio seen in few trials can be trusted.
//! - [`mean`]: the same for the mean of a sample.

mod error;
pub mod interval;
pub mod latency;
pub mod mean;
pub mod sequence;
pub mod throughput;

pub use error::Error;
pub use interval::{Interval, Share, Z_95, difference_interval, wilson_interval};
pub use latency::{LatencyEncoder, LatencyHistogram, LatencySummary};
pub use mean::{Sample, mean_difference_interval};
pub use sequence::{Observed, SequenceTracker};
pub use throughput::ThroughputWindow;
