//! The one place where the message of a job comes to its end.

use std::time::Duration;

use leat_contract::{Error as ContractError, ErrorDetail, JobEventKind, JobResult, JobState, JobStatus};
use leat_messaging::{Delivery, Error as MessagingError};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::checkpoints::Checkpoints;
use super::document::Document;
use super::events::Events;
use super::registration::Registration;
use super::setback::Setback;
use crate::unix_ms;

/// How long the end of a job is written to a broker that is away. Afterwards the job is given again, and whoever gets it
/// finds what was registered.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);
/// How long a job waits after its first failed attempt; twice as long after each further one.
const RETRY_AFTER: Duration = Duration::from_secs(2);
const DOUBLINGS_MAX: u32 = 8;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
    Retried,
    HandedOver,
    Lost,
    Stalled,
}

impl Outcome {
    /// The value of the metric's label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::HandedOver => "handed_over",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
        }
    }

    /// Whether the job has ended with it.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Writes the end of an attempt down and tells it, then ends the message. When it cannot be written, the message is left
/// to be given again.
pub(super) struct Conclusion<'a> {
    pub(super) delivery: Delivery,
    pub(super) document: &'a mut Document,
    pub(super) events: &'a Events,
    pub(super) checkpoints: &'a Checkpoints,
    pub(super) registration: Registration,
}

impl Conclusion<'_> {
    pub(super) async fn conclude(mut self, ended: Result<JobResult, Setback>) -> Outcome {
        match self.reconsider(ended).await {
            Ok(result) => self.succeed(result).await,
            Err(Setback::Refused(detail)) => self.fail(detail, false).await,
            Err(Setback::Retry(detail)) => self.retry(detail).await,
            Err(Setback::Cancelled) => self.cancel().await,
            Err(Setback::HandedOver) => self.hand_over().await,
            Err(Setback::Lost) => {
                info!("another worker has the job, or it has ended");
                Outcome::Lost
            }
            Err(Setback::Stalled) => Outcome::Stalled,
        }
    }

    /// A job whose version is registered has succeeded, also when it was cancelled or worn out afterwards.
    async fn reconsider(&mut self, ended: Result<JobResult, Setback>) -> Result<JobResult, Setback> {
        let is_the_end = match &ended {
            Err(Setback::Cancelled) => true,
            Err(Setback::Retry(_)) => self.is_worn_out(),
            _ => false,
        };
        if !is_the_end {
            return ended;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.registered().await {
                Ok(found) => return found.map_or(ended, Ok),
                Err(Setback::Retry(_)) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(setback) => {
                    warn!(?setback, "it is not known whether the job has a version; the job is given again");
                    return Err(Setback::Lost);
                }
            }
        }
    }

    async fn registered(&mut self) -> Result<Option<JobResult>, Setback> {
        self.document.refresh().await?;
        self.registration.existing(self.document).await
    }

    fn is_worn_out(&self) -> bool {
        u64::from(self.document.status().attempt) >= Delivery::ATTEMPTS_MAX
    }

    async fn succeed(mut self, result: JobResult) -> Outcome {
        let edit = |status: &mut JobStatus| {
            status.move_to(JobState::Succeeded, unix_ms())?;
            (status.result, status.error) = (Some(result.clone()), None);
            Ok(())
        };
        if !self.persist(edit).await {
            return Outcome::Lost;
        }
        let message = format!("{} ({})", result.model.at(result.version), result.digest);
        self.finish(JobEventKind::Succeeded, Some(message)).await;
        Outcome::Succeeded
    }

    async fn cancel(mut self) -> Outcome {
        if !self.persist(|status| status.move_to(JobState::Cancelled, unix_ms())).await {
            return Outcome::Lost;
        }
        self.finish(JobEventKind::Cancelled, None).await;
        Outcome::Cancelled
    }

    async fn fail(mut self, detail: ErrorDetail, is_dead_letter: bool) -> Outcome {
        let edit = |status: &mut JobStatus| {
            status.move_to(JobState::Failed, unix_ms())?;
            status.error = Some(detail.clone());
            Ok(())
        };
        if !self.persist(edit).await {
            return Outcome::Lost;
        }
        let message = detail.message.clone();
        if is_dead_letter {
            self.events.tell(self.document.status(), JobEventKind::Failed, Some(message.clone())).await;
            self.forget_checkpoint().await;
            note(self.delivery.dead_letter(&message).await);
        } else {
            self.finish(JobEventKind::Failed, Some(message)).await;
        }
        Outcome::Failed
    }

    /// Gives the job back after a failure, or gives it up after the last one.
    async fn retry(mut self, detail: ErrorDetail) -> Outcome {
        if self.is_worn_out() {
            return self.fail(detail, true).await;
        }
        let attempt = self.document.status().attempt;
        let edit = |status: &mut JobStatus| {
            status.move_to(JobState::Queued, unix_ms())?;
            status.error = Some(detail.clone());
            Ok(())
        };
        if !self.persist(edit).await {
            return Outcome::Lost;
        }
        warn!(%detail, attempt, "the attempt failed and is repeated");
        note(self.delivery.give_back(retry_after(attempt)).await);
        Outcome::Retried
    }

    /// Gives the job back for another instance to go on at once. An attempt that was ended in order does not count.
    async fn hand_over(mut self) -> Outcome {
        let edit = |status: &mut JobStatus| {
            status.move_to(JobState::Queued, unix_ms())?;
            status.attempt = status.attempt.saturating_sub(1);
            Ok(())
        };
        if !self.persist(edit).await {
            return Outcome::Lost;
        }
        note(self.delivery.give_back(Duration::ZERO).await);
        Outcome::HandedOver
    }

    /// Writes the document, also when the broker is away for a while. Gives whether it is written.
    async fn persist(&mut self, edit: impl Fn(&mut JobStatus) -> Result<(), ContractError>) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.document.change(&edit).await {
                Ok(()) => return true,
                Err(Setback::Retry(_)) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(setback) => {
                    warn!(?setback, "the end of the attempt is not written; the job is given again");
                    return false;
                }
            }
        }
    }

    async fn finish(self, what: JobEventKind, message: Option<String>) {
        self.events.tell(self.document.status(), what, message).await;
        self.forget_checkpoint().await;
        note(self.delivery.done().await);
    }

    async fn forget_checkpoint(&self) {
        self.checkpoints.forget(self.document.status().checkpoint.as_ref()).await;
    }
}

/// How long a job waits after an attempt that failed, the first being 1.
fn retry_after(attempt: u32) -> Duration {
    RETRY_AFTER * 2_u32.pow(attempt.saturating_sub(1).min(DOUBLINGS_MAX))
}

/// A message whose end is not confirmed is given again; its document says then that nothing is left to do.
pub(super) fn note(ended: Result<(), MessagingError>) {
    if let Err(error) = ended {
        warn!(%error, "the end of a message is not confirmed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failed_attempt_doubles_the_wait_up_to_a_limit() {
        let seconds = [0, 1, 2, 3, 4, 9, 10, u32::MAX].map(|attempt| retry_after(attempt).as_secs());
        assert_eq!(seconds, [2, 2, 4, 8, 16, 512, 512, 512]);
    }
}
