//! Latency as an HDR histogram: bounded memory, bounded error, and a merge that loses nothing.
//!
//! A quantile of quantiles is not a quantile. Three workers with 99th percentiles of 5, 5 and 500 ms say nothing about
//! the 99th percentile of all their requests; the sum of their histograms says it exactly. So workers send histograms
//! and only the receiver computes quantiles.
//!
//! Values are integer nanoseconds from 1 ns to 60 s. A reported value differs from the recorded one by less than one
//! part in a thousand (3 significant digits; Tene, "HdrHistogram", 2012). One histogram takes about 216 KiB of memory;
//! its bytes, in the V2 encoding that HdrHistogram libraries of other languages read, take a few kilobytes.

mod encoding;

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

use crate::Error;

/// The smallest latency that is told apart; smaller ones are recorded as this.
pub const LOWEST_NS: u64 = 1;
/// The largest latency that is told apart, one minute; larger ones are recorded as this.
pub const HIGHEST_NS: u64 = 60_000_000_000;
/// Decimal digits of a value that are kept.
pub const SIGNIFICANT_DIGITS: u8 = 3;
/// The largest number of bytes that [`LatencyHistogram::merge_bytes`] looks at.
pub const BYTES_MAX: usize = encoding::BYTES_MAX;
/// The largest number of samples in one histogram. Half of what the encoding can carry, so that recording on top of a
/// full merge can still be serialised.
pub const COUNT_MAX: u64 = i64::MAX as u64 / 2;

/// Latencies of one kind of work. Adding two of them gives the histogram that one recorder of all samples would have.
#[derive(Clone)]
pub struct LatencyHistogram {
    histogram: Histogram<u64>,
}

/// Writes histograms as V2 bytes, one after the other in the same memory: room for the largest that one could be, up to 250 kB.
pub struct LatencyEncoder {
    serializer: V2Serializer,
}

impl LatencyEncoder {
    fn encode(&mut self, histogram: &LatencyHistogram) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = self.serializer.serialize(&histogram.histogram, &mut bytes);
        assert!(written.is_ok(), "a count below i64::MAX written to memory cannot fail to serialise");
        bytes
    }
}

impl Default for LatencyEncoder {
    fn default() -> Self {
        Self { serializer: V2Serializer::new() }
    }
}

impl std::fmt::Debug for LatencyEncoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LatencyEncoder").finish_non_exhaustive()
    }
}

/// The figures of a histogram that people read, all in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencySummary {
    /// Number of samples.
    pub count: u64,
    /// Arithmetic mean.
    pub mean_ns: f64,
    /// Median.
    pub p50_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Largest sample.
    pub max_ns: u64,
}

impl LatencyHistogram {
    /// Gives an empty histogram.
    pub fn new() -> Self {
        Self { histogram: encoding::empty() }
    }

    /// Counts one latency in nanoseconds. Values outside of the range are counted at its nearest end.
    pub fn record(&mut self, nanoseconds: u64) {
        self.histogram.saturating_record(nanoseconds.clamp(LOWEST_NS, HIGHEST_NS));
    }

    /// Counts one latency.
    pub fn record_duration(&mut self, latency: Duration) {
        self.record(u64::try_from(latency.as_nanos()).unwrap_or(HIGHEST_NS));
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// True when nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// What it would hold had its recorder asked every `interval` and not waited for answers: a latency longer than that stands
    /// also for the requests that were not sent meanwhile, each one interval shorter than the one before (Tene, "HdrHistogram",
    /// 2012, `copyCorrectedForCoordinatedOmission`). A zero interval changes nothing.
    pub fn corrected(&self, interval: Duration) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(HIGHEST_NS);
        Self { histogram: self.histogram.clone_correct(interval) }
    }

    /// Forgets every sample and keeps the memory.
    pub fn reset(&mut self) {
        self.histogram.reset();
    }

    /// Gives the samples since the last call as V2 bytes, and forgets them.
    pub fn take_delta(&mut self, encoder: &mut LatencyEncoder) -> Vec<u8> {
        let bytes = encoder.encode(self);
        self.reset();
        bytes
    }

    /// Gives the samples as V2 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        LatencyEncoder::default().encode(self)
    }

    /// Adds all samples of another histogram. Fails, and changes nothing, when the sum exceeds [`COUNT_MAX`].
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        encoding::check_sum(self.count(), other.count())?;
        let added = self.histogram.add(&other.histogram);
        assert!(added.is_ok(), "histograms of one shape always add");
        Ok(())
    }

    /// Adds all samples of a histogram in V2 bytes. Fails, and changes nothing, when the bytes are not exactly one
    /// histogram of this shape; it allocates one histogram at most, whatever the bytes say.
    pub fn merge_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.merge(&Self::from_bytes(bytes)?)
    }

    /// Reads V2 bytes; the same conditions as [`LatencyHistogram::merge_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        encoding::read(bytes).map(|histogram| Self { histogram })
    }

    /// Reads what an interval added: V2 bytes, or no bytes at all when there was nothing. Fails as
    /// [`LatencyHistogram::from_bytes`] does.
    pub fn from_delta(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() { Ok(Self::new()) } else { Self::from_bytes(bytes) }
    }

    /// The latency in nanoseconds that the given share of samples (0 to 1, clamped) does not exceed; none when empty or
    /// when the share is not a number.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        if self.is_empty() || share.is_nan() {
            return None;
        }
        Some(self.histogram.value_at_quantile(share.clamp(0.0, 1.0)).min(HIGHEST_NS))
    }

    /// Largest sample in nanoseconds, none when empty.
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.histogram.max().min(HIGHEST_NS))
    }

    /// Arithmetic mean in nanoseconds, none when empty.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.histogram.mean())
    }

    /// Number of samples that do not exceed the given latency.
    pub fn count_at_most(&self, nanoseconds: u64) -> u64 {
        self.histogram.count_between(0, nanoseconds.min(HIGHEST_NS))
    }

    /// The figures that people read, none when empty.
    pub fn summary(&self) -> Option<LatencySummary> {
        Some(LatencySummary {
            count: self.count(),
            mean_ns: self.mean()?,
            p50_ns: self.quantile(0.50)?,
            p95_ns: self.quantile(0.95)?,
            p99_ns: self.quantile(0.99)?,
            max_ns: self.max()?,
        })
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for LatencyHistogram {
    fn eq(&self, other: &Self) -> bool {
        self.histogram == other.histogram
    }
}

impl std::fmt::Debug for LatencyHistogram {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LatencyHistogram").field("summary", &self.summary()).finish()
    }
}

#[cfg(test)]
mod tests;
