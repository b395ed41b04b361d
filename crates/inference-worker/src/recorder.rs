//! Publishes what was predicted for requests with an id.

use std::sync::Arc;

use leat_contract::{Encoding, ModelName, PredictionBatch, PredictionRecord, assets::AssetRole, encode};
use leat_messaging::EventLog;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use crate::Error;
use crate::record::RecordBuffer;
use crate::shared::Shared;

/// Gathers records and publishes them, until every sender is gone and everything is published.
///
/// # Errors
/// Never: what cannot be published is counted as dropped.
pub(crate) async fn record(
    shared: Arc<Shared>,
    epoch: u64,
    mut arriving: mpsc::Receiver<(ModelName, PredictionRecord)>,
) -> Result<(), Error> {
    let log = shared.context.storage.event_log(AssetRole::Prediction);
    let settings = &shared.settings;
    let mut publisher = Publisher { shared: shared.clone(), log, epoch, sequence: 0 };
    let mut buffer = RecordBuffer::new(settings.record_batch_max);
    let mut ticks =
        tokio::time::interval_at(Instant::now() + settings.record_interval(), settings.record_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut records = Vec::with_capacity(settings.record_batch_max);
    loop {
        let is_open = tokio::select! {
            taken = arriving.recv_many(&mut records, settings.record_batch_max) => taken > 0,
            _ = ticks.tick() => {
                publisher.publish_all(&mut buffer).await;
                true
            }
        };
        for (model, record) in records.drain(..) {
            if let Some(full) = buffer.add(&model, record) {
                publisher.publish(model, full).await;
            }
        }
        if !is_open {
            publisher.publish_all(&mut buffer).await;
            return Ok(());
        }
    }
}

struct Publisher {
    shared: Arc<Shared>,
    log: EventLog,
    epoch: u64,
    sequence: u64,
}

impl Publisher {
    async fn publish_all(&mut self, buffer: &mut RecordBuffer) {
        for (model, records) in buffer.take() {
            self.publish(model, records).await;
        }
    }

    async fn publish(&mut self, model: ModelName, records: Vec<PredictionRecord>) {
        let (count, subject) = (records.len() as u64, self.shared.context.subjects.prediction(&model));
        let worker = self.shared.context.instance.clone();
        // With an id of its own a batch can be sent again when nobody knows whether it arrived.
        self.sequence += 1;
        let id = format!("{worker}-{}-{}", self.epoch, self.sequence);
        let batch = PredictionBatch { worker, model, records };
        let sent = match encode(Encoding::MessagePack, &batch) {
            Ok(bytes) => self.log.publish(subject, Some(&id), bytes).await.map(|_| ()).map_err(Error::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = sent {
            warn!(model = %batch.model, count, %error, "predictions were not recorded");
            self.shared.metrics.predictions_dropped.inc_by(count);
        }
    }
}
