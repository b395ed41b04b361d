//! Telling what happens to a job.

use leat_contract::{AssetRole, JobEvent, JobEventKind, JobStatus, Subjects};
use leat_messaging::{Connection, EventLog};
use tracing::{debug, warn};

use crate::{Context, unix_ms};

/// Tells what happens to jobs. Losing an event never harms a job: its document says the same.
#[derive(Debug, Clone)]
pub(super) struct Events {
    log: EventLog,
    connection: Connection,
    subjects: Subjects,
}

impl Events {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            log: context.storage.event_log(AssetRole::Events),
            // The log's own connection, so that progress never overtakes the end.
            connection: context.connections.storage.clone(),
            subjects: context.subjects.clone(),
        }
    }

    /// Tells that a job has changed, and waits until that is stored.
    pub(super) async fn tell(&self, status: &JobStatus, what: JobEventKind, message: Option<String>) {
        let position = status.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position);
        // An event that is told again, by this worker or the next, is dropped by the stream.
        let id = match what {
            JobEventKind::Checkpointed => format!("{}-{}-{what}-{position}", status.id, status.epoch),
            _ => format!("{}-{}-{what}", status.id, status.epoch),
        };
        let Some(payload) = payload(status, what, message) else { return };
        let subject = self.subjects.job_event(&status.id, what);
        if let Err(error) = self.log.publish(subject, Some(&id), payload).await {
            warn!(job = %status.id, %what, %error, "an event of a job is lost");
        }
    }

    /// Tells how far a job is, without waiting.
    pub(super) async fn progress(&self, status: &JobStatus) {
        let what = JobEventKind::Progress;
        let Some(payload) = payload(status, what, None) else { return };
        if let Err(error) = self.connection.publish(self.subjects.job_event(&status.id, what), payload).await
        {
            debug!(job = %status.id, %error, "the progress of a job is not told");
        }
    }
}

/// Documents of strings and numbers can always be written.
fn payload(status: &JobStatus, what: JobEventKind, message: Option<String>) -> Option<Vec<u8>> {
    let event =
        JobEvent { job: status.id.clone(), what, at: unix_ms(), progress: status.progress.clone(), message };
    serde_json::to_vec(&event).ok()
}
