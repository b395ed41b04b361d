use leat_statistics::LatencyHistogram;
use serde::Serialize;

/// The figures of a latency histogram that people read, all in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// Largest sample.
    pub max: f64,
}

impl Percentiles {
    /// The figures of a histogram, none when it is empty.
    pub fn of(histogram: &LatencyHistogram) -> Option<Self> {
        let at = |share| histogram.quantile(share).map(|ns| ns as f64 / 1e3);
        Some(Self {
            mean: histogram.mean()? / 1e3,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            p99_9: at(0.999)?,
            max: histogram.max()? as f64 / 1e3,
        })
    }
}
