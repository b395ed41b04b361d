//! What a worker told of one version, with its histograms read once for everybody who adds them up.

use leat_contract::ModelTelemetry;
use leat_statistics::{Error, LatencyHistogram};

/// The counters of one version on one worker.
#[derive(Debug)]
pub(crate) struct VersionReport<'told> {
    pub(crate) told: &'told ModelTelemetry,
    pub(crate) latency: LatencyHistogram,
    pub(crate) queue: LatencyHistogram,
    pub(crate) compute: LatencyHistogram,
}

impl<'told> VersionReport<'told> {
    /// Reads the histograms; an idle version sends none.
    ///
    /// # Errors
    /// When one cannot be read; then nothing of this version can be used, because its counts would contradict each other.
    pub(crate) fn read(told: &'told ModelTelemetry) -> Result<Self, Error> {
        Ok(Self {
            told,
            latency: LatencyHistogram::from_delta(&told.latency)?,
            queue: LatencyHistogram::from_delta(&told.queue)?,
            compute: LatencyHistogram::from_delta(&told.compute)?,
        })
    }
}
