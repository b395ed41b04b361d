//! Sends what was counted to the monitor, once a second.

use std::sync::Arc;
use std::time::Instant;

use leat_contract::{Encoding, ProcessTelemetry, WorkerTelemetry, encode};
use leat_service_runtime::process_usage;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Error;
use crate::shared::Shared;

/// Sends telemetry until told to stop, and a last time then.
///
/// # Errors
/// Never: while the broker is away counters go on counting.
pub(crate) async fn send(shared: Arc<Shared>, epoch: u64, stop: CancellationToken) -> Result<(), Error> {
    let mut reporter = Reporter { shared, epoch, sequence: 0, since: Instant::now() };
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
        let telemetry = WorkerTelemetry {
            worker: shared.context.instance.clone(),
            epoch: self.epoch,
            sequence: self.sequence,
            interval_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            process: ProcessTelemetry {
                cpu_seconds_total: usage.cpu_seconds_total,
                resident_bytes: usage.resident_bytes,
            },
            models: shared.roster.take_counters(),
        };
        self.since = Instant::now();
        // A message that does not leave is a gap in the sequence, which the monitor sees.
        self.sequence += 1;
        let subject = shared.context.subjects.telemetry(&telemetry.worker);
        match encode(Encoding::MessagePack, &telemetry) {
            Ok(bytes) => {
                if let Err(error) = connection.publish(subject, bytes).await {
                    debug!(%error, "telemetry was not sent");
                }
            }
            Err(error) => warn!(%error, "telemetry cannot be written"),
        }
    }
}
