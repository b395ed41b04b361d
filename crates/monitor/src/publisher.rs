//! Windows and alerts on their way out, in order, without holding up what comes in.

use leat_contract::{Alert, AssetRole, Subjects, Window};
use leat_messaging::Storage;
use serde::Serialize;
use tokio::sync::mpsc;

/// Windows of a few hundred models; when the broker is away for longer, the oldest that did not fit are missing.
const OUTBOX_MAX: usize = 1_024;

/// Where windows and alerts are handed in.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    subjects: Subjects,
    sender: mpsc::Sender<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    subject: String,
    message_id: String,
    payload: Vec<u8>,
}

/// Sends what is handed in until the outbox is dropped.
#[derive(Debug)]
pub(crate) struct Publisher {
    receiver: mpsc::Receiver<Outgoing>,
}

pub(crate) fn outbox(subjects: &Subjects) -> (Outbox, Publisher) {
    let (sender, receiver) = mpsc::channel(OUTBOX_MAX);
    (Outbox { subjects: subjects.clone(), sender }, Publisher { receiver })
}

impl Outbox {
    /// Hands in a window; gives whether there was room.
    pub(crate) fn window(&self, window: &Window) -> bool {
        let message_id = format!("window.{}.{}", window.model, window.end);
        self.hand_in(self.subjects.monitor_window(&window.model), message_id, window)
    }

    /// Hands in an alert; gives whether there was room.
    pub(crate) fn alert(&self, alert: &Alert) -> bool {
        let message_id = format!("alert.{}.{}", alert.id, alert.at);
        self.hand_in(self.subjects.monitor_alert(&alert.model), message_id, alert)
    }

    fn hand_in(&self, subject: String, message_id: String, document: &impl Serialize) -> bool {
        match serde_json::to_vec(document) {
            Ok(payload) => self.sender.try_send(Outgoing { subject, message_id, payload }).is_ok(),
            Err(error) => {
                tracing::error!(%error, subject, "cannot write a document");
                false
            }
        }
    }
}

impl Publisher {
    pub(crate) async fn run(mut self, storage: Storage) -> Result<(), std::convert::Infallible> {
        let log = storage.event_log(AssetRole::Monitor);
        while let Some(Outgoing { subject, message_id, payload }) = self.receiver.recv().await {
            if let Err(error) = log.publish(subject.as_str(), Some(&message_id), payload).await {
                tracing::warn!(%error, subject, "a window or alert could not be published");
            }
        }
        Ok(())
    }
}
