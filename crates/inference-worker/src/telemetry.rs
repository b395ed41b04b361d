//! Sends what was counted to the monitor, once a second.

use std::sync::Arc;
use std::time::Instant;

use leat_contract::{Encoding, ModelTelemetry, ProcessTelemetry, WorkerTelemetry, encode};
use leat_service_runtime::process_usage;
use leat_statistics::LatencyEncoder;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Error;
use crate::shared::Shared;

/// Bytes of a message besides its counters, rather too many than too few.
const MESSAGE_BYTES: usize = 512;

/// Sends telemetry until told to stop, and a last time then.
///
/// # Errors
/// Never: while the broker is away counters go on counting.
pub(crate) async fn send(shared: Arc<Shared>, epoch: u64, stop: CancellationToken) -> Result<(), Error> {
    let (sequence, since, encoder) = (0, Instant::now(), LatencyEncoder::default());
    let mut reporter = Reporter { shared, epoch, sequence, since, encoder };
    let mut ticks = tokio::time::interval(reporter.shared.settings.telemetry_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        reporter.report().await;
    }
    reporter.report().await;
    Ok(())
}

struct Reporter {
    shared: Arc<Shared>,
    epoch: u64,
    sequence: u64,
    since: Instant,
    encoder: LatencyEncoder,
}

impl Reporter {
    async fn report(&mut self) {
        let shared = &self.shared;
        shared.metrics.queued.set(i64::try_from(shared.queue.len()).unwrap_or(i64::MAX));
        shared.metrics.versions.set(i64::try_from(shared.roster.versions()).unwrap_or(i64::MAX));
        let connection = &shared.context.connections.reply;
        if !connection.is_connected() {
            // What is not taken is not lost: it goes with the next message.
            return;
        }
        let usage = process_usage().unwrap_or_default();
        let mut telemetry = WorkerTelemetry {
            worker: shared.context.instance.clone(),
            epoch: self.epoch,
            sequence: self.sequence,
            interval_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            process: ProcessTelemetry {
                cpu_seconds_total: usage.cpu_seconds_total,
                resident_bytes: usage.resident_bytes,
            },
            models: Vec::new(),
        };
        self.since = Instant::now();
        let subject = shared.context.subjects.telemetry(&telemetry.worker);
        let counters = shared.roster.take_counters(&mut self.encoder);
        for models in split(counters, connection.payload_bytes_max()) {
            // A message that does not leave is a gap in the sequence, which the monitor sees.
            telemetry.sequence = self.sequence;
            telemetry.models = models;
            self.sequence += 1;
            let sent = match encode(Encoding::MessagePack, &telemetry) {
                Ok(bytes) => connection.publish(subject.as_str(), bytes).await.map_err(Error::from),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = sent {
                warn!(%error, versions = telemetry.models.len(), "telemetry was not sent, its counts are lost");
            }
        }
    }
}

/// Splits counters into messages that the broker takes; without counters there is one message all the same.
fn split(models: Vec<ModelTelemetry>, bytes_max: usize) -> Vec<Vec<ModelTelemetry>> {
    let mut messages = vec![Vec::new()];
    let mut bytes = MESSAGE_BYTES;
    for told in models {
        let size = size(&told);
        if bytes + size > bytes_max && bytes > MESSAGE_BYTES {
            messages.push(Vec::new());
            bytes = MESSAGE_BYTES;
        }
        bytes += size;
        if let Some(message) = messages.last_mut() {
            message.push(told);
        }
    }
    messages
}

/// About how many bytes the counters of one version take, rather too many than too few.
fn size(told: &ModelTelemetry) -> usize {
    let histograms = told.latency.len() + told.queue.len() + told.compute.len();
    256 + told.model.as_str().len() + 64 * told.errors.len() + 112 * told.runs.len() + histograms
}

#[cfg(test)]
mod tests {
    use leat_contract::{ErrorCode, ModelVersion, RunTimes, WorkerId};

    use super::*;

    const RUNS: RunTimes = RunTimes {
        size: u64::MAX,
        is_cold: true,
        is_repeat: true,
        count: u64::MAX,
        rows: u64::MAX,
        log_sum: 0.1,
        log_squares: 0.1,
    };

    fn told(number: usize, bytes: usize) -> ModelTelemetry {
        ModelTelemetry {
            model: format!("{number:0>60}").parse().unwrap(),
            version: ModelVersion::FIRST,
            requests: u64::MAX,
            rows: u64::MAX,
            batches: u64::MAX,
            errors: [(ErrorCode::DeadlineExceeded, u64::MAX), (ErrorCode::InvalidArgument, u64::MAX)].into(),
            inflight: u64::MAX,
            queued: u64::MAX,
            latency: vec![0; bytes],
            queue: vec![0; bytes],
            compute: vec![0; bytes],
            shadow: None,
            cache: None,
            runs: vec![RUNS; number % 3],
        }
    }

    fn telemetry(models: Vec<ModelTelemetry>) -> WorkerTelemetry {
        WorkerTelemetry {
            worker: WorkerId::new("w".repeat(63)).unwrap(),
            epoch: u64::MAX,
            sequence: u64::MAX,
            interval_ms: u64::MAX,
            process: ProcessTelemetry { cpu_seconds_total: 0.1, resident_bytes: u64::MAX },
            models,
        }
    }

    #[test]
    fn every_message_fits_the_broker_and_every_version_is_in_one() {
        for bytes in [0, 1, 300, 3_000] {
            let models: Vec<_> = (0..100).map(|number| told(number, bytes)).collect();
            let messages = split(models.clone(), 16_384);
            for message in &messages {
                let encoded = encode(Encoding::MessagePack, &telemetry(message.clone())).unwrap();
                assert!(encoded.len() <= 16_384, "{} bytes", encoded.len());
            }
            assert_eq!(messages.concat(), models);
        }
    }

    #[test]
    fn a_worker_without_models_reports_all_the_same() {
        assert_eq!(split(Vec::new(), 1_000), [Vec::new()]);
    }
}
