use std::fmt;

use leat_statistics::LatencyHistogram;
use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Upper edges in seconds, from the shortest run of a small model to the longest deadline: 1, 2.5, 5 per decade.
const EDGES_SECONDS: [f64; 22] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Counts in fixed ranges, as classic Prometheus histograms have them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Samples up to each edge, those of lower edges included.
    up_to_edge: [u64; EDGES_SECONDS.len()],
    count: u64,
    sum_seconds: f64,
}

impl Buckets {
    pub(super) fn add(&mut self, histogram: &LatencyHistogram) {
        let Some(mean_ns) = histogram.mean() else { return };
        for (samples, edge) in self.up_to_edge.iter_mut().zip(EDGES_SECONDS) {
            *samples = samples.saturating_add(histogram.count_at_most((edge * 1e9).round() as u64));
        }
        self.count = self.count.saturating_add(histogram.count());
        self.sum_seconds += mean_ns * 1e-9 * histogram.count() as f64;
    }

    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let mut below = 0;
        let mut buckets = Vec::with_capacity(EDGES_SECONDS.len() + 1);
        for (edge, up_to) in EDGES_SECONDS.into_iter().zip(self.up_to_edge) {
            buckets.push((edge, up_to - below));
            below = up_to;
        }
        // The encoder writes `+Inf` for infinity only; without that bucket no quantile can be asked for.
        buckets.push((f64::INFINITY, self.count - below));
        encoder.encode_histogram::<NoLabelSet>(self.sum_seconds, self.count, &buckets, None)
    }
}
