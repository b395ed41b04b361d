use std::time::Duration;

use leat_contract::{
    AssetRole, DatasetRef, JobEvent, JobEventKind, JobId, JobMessage, JobResult, JobSpec, JobState,
    JobStatus, Subjects, decode_json,
};
use leat_messaging::{Entry, Error as MessagingError, KeyValue, Position, Storage};
use leat_service_runtime::unix_ms;

use super::readable;
use crate::{Error, output};

/// Somebody who writes the same status at the same moment wins at most this often in a row.
const ATTEMPTS_MAX: usize = 16;

/// A free service takes a job at once; when none has for this long, its submitter should know.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// Jobs as their submitter sees them.
#[derive(Debug)]
pub(crate) struct Jobs {
    storage: Storage,
    subjects: Subjects,
    statuses: KeyValue<JobStatus>,
}

impl Jobs {
    pub(super) fn new(storage: &Storage, subjects: &Subjects) -> Self {
        let statuses = storage.key_value(AssetRole::Jobs);
        Self { storage: storage.clone(), subjects: subjects.clone(), statuses }
    }

    /// Stores a data set under its digest.
    pub(crate) async fn upload(&self, name: &str, bytes: &[u8]) -> Result<DatasetRef, Error> {
        let digest = self.storage.objects(AssetRole::Datasets).put(bytes).await?;
        Ok(DatasetRef { digest, name: name.to_owned() })
    }

    /// Hands a job in: first its status document, then the job, so that whoever takes it finds the document.
    ///
    /// # Errors
    /// When the specification is invalid or the broker does not take it.
    pub(crate) async fn submit(&self, spec: JobSpec) -> Result<JobId, Error> {
        spec.validate()?;
        let id: JobId = format!("{}-{}", spec.kind(), nuid::next()).parse()?;
        let message = JobMessage { job: id.clone(), spec: spec.clone() };
        let payload = serde_json::to_vec(&message)
            .map_err(|error| Error::Usage(format!("the job cannot be written: {error}")))?;
        let subject = self.subjects.job(spec.kind());
        self.statuses.create(id.as_str(), &JobStatus::queued(id.clone(), spec.clone(), unix_ms())).await?;
        self.storage.job_queue(spec.kind()).submit(subject, id.as_str(), payload).await?;
        Ok(id)
    }

    pub(crate) async fn get(&self, id: &JobId) -> Result<Entry<JobStatus>, Error> {
        let found = self.statuses.get(id.as_str()).await?;
        found.ok_or_else(|| Error::Unknown {
            what: "job",
            name: id.to_string(),
            hint: "`leat jobs ls` lists them".to_owned(),
        })
    }

    /// Every job that is still remembered, the newest last.
    pub(crate) async fn all(&self) -> Result<Vec<JobStatus>, Error> {
        let mut jobs: Vec<JobStatus> =
            readable(&self.statuses, ">").await?.into_iter().map(|entry| entry.value).collect();
        jobs.sort_by(|left, right| (left.submitted_at, &left.id).cmp(&(right.submitted_at, &right.id)));
        Ok(jobs)
    }

    /// Asks for a job's end. Gives its state at that moment.
    pub(crate) async fn cancel(&self, id: &JobId) -> Result<JobState, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let entry = self.get(id).await?;
            if entry.value.state.is_final() {
                return Ok(entry.value.state);
            }
            let asked = JobStatus { cancel_requested: true, updated_at: unix_ms(), ..entry.value };
            match self.statuses.update(id.as_str(), &asked, entry.revision).await {
                Ok(_) => return Ok(asked.state),
                Err(MessagingError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(MessagingError::Conflict { key: id.to_string() }.into())
    }

    /// Waits for a job's end and tells its events on the way.
    ///
    /// # Errors
    /// [`Error::Job`] when it failed or was cancelled.
    pub(crate) async fn follow(
        &self,
        id: &JobId,
        mut tell: impl FnMut(&JobEvent),
    ) -> Result<JobResult, Error> {
        let filter = self.subjects.job_events(id);
        let mut events = self.storage.event_log(AssetRole::Events).follow(&filter, Position::Beginning);
        let mut first = Some(tokio::time::Instant::now() + TAKEN_WITHIN);
        loop {
            let message = match first.take() {
                None => events.next().await,
                Some(deadline) => match tokio::time::timeout_at(deadline, events.next()).await {
                    Ok(message) => message,
                    Err(_) => {
                        self.say_who_is_missing(id).await?;
                        continue;
                    }
                },
            };
            let Ok(event) = decode_json::<JobEvent>(message.payload()) else { continue };
            tell(&event);
            if event.what.is_final() {
                return self.result(id, &event).await;
            }
        }
    }

    async fn say_who_is_missing(&self, id: &JobId) -> Result<(), Error> {
        let status = self.get(id).await?.value;
        if status.state == JobState::Queued {
            let service = match status.spec {
                JobSpec::Train(_) => "trainer",
                JobSpec::Compress(_) => "compressor",
            };
            output::say(&format!(
                "  queued: no {service} is free yet, or none runs; `leat service {service}` starts one"
            ));
        }
        Ok(())
    }

    async fn result(&self, id: &JobId, last: &JobEvent) -> Result<JobResult, Error> {
        let status = self.get(id).await?.value;
        match status.result.clone() {
            Some(result) if last.what == JobEventKind::Succeeded => Ok(result),
            _ => {
                let reason = status.error.map(|detail| detail.message).or_else(|| last.message.clone());
                let unexplained = match last.what {
                    JobEventKind::Cancelled => "somebody asked for its end",
                    _ => "no reason was given",
                };
                let reason = reason.unwrap_or_else(|| unexplained.to_owned());
                Err(Error::Job { job: id.to_string(), state: last.what.to_string(), reason })
            }
        }
    }
}
