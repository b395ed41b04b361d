//! The status document of a job, and the events that tell of its changes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorDetail, JobId, JobSpec, ModelName, ModelVersion, WorkerId};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted; no worker has it.
    Queued,
    /// A worker has it.
    Running,
    /// Done; `result` names what it made.
    Succeeded,
    /// Given up; `error` says why.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl JobState {
    /// Whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether a document in this state may be replaced by one in the next. A job that is queued or running may stay so
    /// (progress, another worker), a running one may be queued again for a retry, and a final state is final.
    pub const fn can_move_to(self, next: Self) -> bool {
        match self {
            Self::Queued => !matches!(next, Self::Succeeded),
            Self::Running => true,
            Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }

    /// As written in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The status document of a job, under its id in the bucket of jobs. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// What it shall do.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: JobState,
    /// The fence: raised by each worker that takes the job. A worker whose epoch is no longer this one has lost it.
    pub epoch: u64,
    /// How many times it was begun.
    pub attempt: u32,
    /// Who has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgress>,
    /// Where the next worker can go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointRef>,
    /// The version the registry keeps free for the result, so that a retry gives no second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_version: Option<ModelVersion>,
    /// What it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// Why it failed, or why the last attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetail>,
    /// Somebody asked to end it. The worker that has it does so at its next progress.
    #[serde(default)]
    pub cancel_requested: bool,
    /// When it was accepted.
    pub submitted_at: u64,
    /// When it was first begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it reached a final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
    /// When this document was written.
    pub updated_at: u64,
}

impl JobStatus {
    /// The document of a job that was accepted just now.
    pub fn queued(id: JobId, spec: JobSpec, at: u64) -> Self {
        Self {
            id,
            spec,
            state: JobState::Queued,
            epoch: 0,
            attempt: 0,
            worker: None,
            progress: None,
            checkpoint: None,
            reserved_version: None,
            result: None,
            error: None,
            cancel_requested: false,
            submitted_at: at,
            started_at: None,
            finished_at: None,
            updated_at: at,
        }
    }

    /// A worker takes the job: the epoch rises, so that whoever had it before is fenced off.
    ///
    /// # Errors
    /// [`Error::JobMove`] when the job is in a final state.
    pub fn take(&mut self, worker: WorkerId, at: u64) -> Result<(), Error> {
        self.move_to(JobState::Running, at)?;
        self.epoch = self.epoch.saturating_add(1);
        self.attempt = self.attempt.saturating_add(1);
        self.worker = Some(worker);
        self.started_at.get_or_insert(at);
        Ok(())
    }

    /// Changes the state and the times that go with it.
    ///
    /// # Errors
    /// [`Error::JobMove`] when [`JobState::can_move_to`] says no.
    pub fn move_to(&mut self, next: JobState, at: u64) -> Result<(), Error> {
        if !self.state.can_move_to(next) {
            return Err(Error::JobMove { from: self.state, to: next });
        }
        self.state = next;
        self.updated_at = at;
        if next.is_final() {
            self.finished_at = Some(at);
        }
        Ok(())
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobProgress {
    /// Units done.
    pub done: u64,
    /// Units in all, at most.
    pub total: u64,
    /// What is counted, for example `epoch` or `step`.
    pub unit: String,
    /// Figures at this point, for example `train_loss`.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
}

/// Where the next worker can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointRef {
    /// The name in the object store of checkpoints.
    pub object: String,
    /// The units that were done when it was taken.
    pub position: u64,
}

/// What a job made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobResult {
    /// The model.
    pub model: ModelName,
    /// Its new version.
    pub version: ModelVersion,
    /// The blob.
    pub digest: Digest,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobEventKind {
    /// A worker took it for the first time.
    Started,
    /// It moved on.
    Progress,
    /// Its state was saved.
    Checkpointed,
    /// It is done.
    Succeeded,
    /// It was given up.
    Failed,
    /// It ended because somebody asked for it.
    Cancelled,
    /// It begins again, on this or another worker.
    Retried,
}

impl JobEventKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Started,
        Self::Progress,
        Self::Checkpointed,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Retried,
    ];

    /// The token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Checkpointed => "checkpointed",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
        }
    }

    /// Whether no event of the job can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for JobEventKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for JobEventKind {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == value);
        found.ok_or_else(|| {
            let rule = "one of started, progress, checkpointed, succeeded, failed, cancelled, retried";
            Error::name("job event", value, rule)
        })
    }
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEvent {
    /// The job.
    pub job: JobId,
    /// What happened.
    pub what: JobEventKind,
    /// When, in unix milliseconds.
    pub at: u64,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgress>,
    /// More for a person, for example why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests;
