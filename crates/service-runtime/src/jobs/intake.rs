//! From a message to a job that is ours.

use leat_contract::{AssetRole, ErrorCode, ErrorDetail, JobMessage, JobState, JobStatus};
use leat_messaging::{Delivery, Entry, Error as MessagingError, KeyValue};
use tokio::time::sleep;

use super::document::{Document, STALE_PAUSE};
use super::registration::Registration;
use super::setback::Setback;
use crate::{Context, unix_ms};

/// What a message turns out to be.
#[derive(Debug)]
pub(super) enum Intake {
    /// A job that is ours now.
    Claimed(Document),
    /// A job that has ended before.
    Ended(JobStatus),
    /// A job that ends before it is begun, because of this.
    Unwanted(Document, Setback),
    /// No job. The reason is for a person.
    Undecodable(String),
}

/// Reads a message, finds or makes its status document, and takes the job.
///
/// # Errors
/// When the document cannot be read or written.
pub(super) async fn take(delivery: &Delivery, context: &Context) -> Result<Intake, Setback> {
    let message: JobMessage = match leat_contract::decode_json(delivery.payload()) {
        Ok(message) => message,
        Err(error) => return Ok(Intake::Undecodable(error.to_string())),
    };
    let statuses: KeyValue<JobStatus> = context.storage.key_value(AssetRole::Jobs);
    let registration = Registration::new(context);
    loop {
        let entry = find_or_create(&statuses, &message).await?;
        if entry.value.state.is_final() {
            return Ok(Intake::Ended(entry.value));
        }
        let mut document = Document::new(statuses.clone(), entry);
        // A job whose version is registered has succeeded, whatever else its document says: the attempt finds it again.
        if registration.existing(&document).await?.is_none()
            && let Some(reason) = unwanted(document.status())
        {
            return Ok(Intake::Unwanted(document, reason));
        }
        match document.claim(|status| status.take(context.instance.clone(), unix_ms())).await {
            Ok(()) => return Ok(Intake::Claimed(document)),
            // Somebody was faster, by a step or by the whole job: the document says which.
            Err(Setback::Lost) => {}
            Err(setback) => return Err(setback),
        }
    }
}

async fn find_or_create(
    statuses: &KeyValue<JobStatus>,
    message: &JobMessage,
) -> Result<Entry<JobStatus>, MessagingError> {
    loop {
        if let Some(entry) = statuses.get(message.job.as_str()).await? {
            return Ok(entry);
        }
        let value = JobStatus::queued(message.job.clone(), message.spec.clone(), unix_ms());
        match statuses.create(message.job.as_str(), &value).await {
            Ok(revision) => return Ok(Entry { key: message.job.to_string(), value, revision }),
            Err(MessagingError::Conflict { .. }) => sleep(STALE_PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}

/// Why a job is not begun, if it is not.
fn unwanted(status: &JobStatus) -> Option<Setback> {
    if status.cancel_requested {
        return Some(Setback::Cancelled);
    }
    let is_worn_out = u64::from(status.attempt) >= Delivery::ATTEMPTS_MAX;
    is_worn_out.then(|| Setback::Retry(given_up(status)))
}

/// Why a job that was begun too often is not begun again.
fn given_up(status: &JobStatus) -> ErrorDetail {
    match (&status.error, status.state) {
        (Some(error), JobState::Queued) => error.clone(),
        _ => {
            let message = format!("its worker ended {} times without finishing it", status.attempt);
            ErrorDetail::new(ErrorCode::Internal, message)
        }
    }
}
