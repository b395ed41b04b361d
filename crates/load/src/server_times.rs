//! Where time goes in the workers, as their telemetry says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use leat_contract::{ModelName, Subjects, WorkerTelemetry, decode};
use leat_messaging::Connection;
use leat_statistics::LatencyHistogram;
use tokio_util::task::AbortOnDropHandle;

use crate::Error;

/// What workers report of one model, all versions and all callers together, while it is listened to.
#[derive(Debug)]
pub struct ServerTimes {
    heard: Arc<Mutex<Heard>>,
    _listener: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Heard {
    since: Instant,
    queue: LatencyHistogram,
    compute: LatencyHistogram,
}

impl Heard {
    fn new() -> Self {
        Self { since: Instant::now(), queue: LatencyHistogram::new(), compute: LatencyHistogram::new() }
    }

    /// An interval that began before the step is left out. Telemetry that cannot be read is some other program's.
    fn heed(&mut self, telemetry: &WorkerTelemetry, model: &ModelName) {
        let is_within = Duration::from_millis(telemetry.interval_ms) <= self.since.elapsed();
        if !is_within {
            return;
        }
        for told in telemetry.models.iter().filter(|told| &told.model == model) {
            for (sum, delta) in [(&mut self.queue, &told.queue), (&mut self.compute, &told.compute)] {
                if let Ok(delta) = LatencyHistogram::from_delta(delta) {
                    // It fails only beyond 2^62 samples.
                    let _ = sum.merge(&delta);
                }
            }
        }
    }
}

impl ServerTimes {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the broker is gone.
    pub async fn listen(
        connection: &Connection,
        subjects: &Subjects,
        model: ModelName,
    ) -> Result<Self, Error> {
        let mut telemetry = connection.subscribe(subjects.telemetry_all()).await?;
        let heard = Arc::new(Mutex::new(Heard::new()));
        let hearing = heard.clone();
        let listener = tokio::spawn(async move {
            while let Some(message) = telemetry.next().await {
                if let Ok((telemetry, _)) = decode::<WorkerTelemetry>(message.payload()) {
                    hearing.lock().unwrap_or_else(PoisonError::into_inner).heed(&telemetry, &model);
                }
            }
        });
        Ok(Self { heard, _listener: AbortOnDropHandle::new(listener) })
    }

    /// How long requests waited in queues and how long the model ran, in the whole reporting intervals since the last call. Both are
    /// empty when no interval (a second, unless workers are set otherwise) lies within.
    pub fn take(&self) -> (LatencyHistogram, LatencyHistogram) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let Heard { queue, compute, .. } = std::mem::replace(&mut *heard, Heard::new());
        (queue, compute)
    }
}
