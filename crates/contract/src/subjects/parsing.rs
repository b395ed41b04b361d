//! From a subject back to what it is about. Anything that [`Subjects`] would not build gives none.

use std::fmt::Write as _;

use super::Subjects;
use crate::{
    ControlVerb, JobEventKind, JobId, JobKind, ModelName, ModelVersion, RequestId, RolloutEnd, WorkerId,
};

/// What a job event subject names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEventAddress {
    /// The job.
    pub job: JobId,
    /// What happened to it.
    pub what: JobEventKind,
}

/// What a control subject names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlAddress {
    /// The worker.
    pub worker: WorkerId,
    /// What it is told to do.
    pub verb: ControlVerb,
}

/// What a monitor subject names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorAddress {
    /// A window of this model.
    Window(ModelName),
    /// An alert on this model.
    Alert(ModelName),
}

impl Subjects {
    /// The model of an inference subject and the version when it is pinned.
    pub fn parse_infer(&self, subject: &str) -> Option<(ModelName, Option<ModelVersion>)> {
        model_and_version(self.after(subject, "infer.")?)
    }

    /// The model of a metadata subject and the version when it is of one.
    pub fn parse_metadata(&self, subject: &str) -> Option<(ModelName, Option<ModelVersion>)> {
        model_and_version(self.after(subject, "metadata.")?)
    }

    /// The model of a subject of durable requests.
    pub fn parse_async_infer(&self, subject: &str) -> Option<ModelName> {
        self.after(subject, "async.")?.parse().ok()
    }

    /// The model of a label subject.
    pub fn parse_label(&self, subject: &str) -> Option<ModelName> {
        self.after(subject, "label.")?.parse().ok()
    }

    /// The model of a prediction subject.
    pub fn parse_prediction(&self, subject: &str) -> Option<ModelName> {
        self.after(subject, "prediction.")?.parse().ok()
    }

    /// The request of a result subject.
    pub fn parse_result(&self, subject: &str) -> Option<RequestId> {
        let token = self.after(subject, "result.")?;
        let id = RequestId::new(unescape(token)?).ok()?;
        (escape(id.as_str()) == token).then_some(id)
    }

    /// The kind of a job subject.
    pub fn parse_job(&self, subject: &str) -> Option<JobKind> {
        self.after(subject, "job.")?.parse().ok()
    }

    /// The job and the event of an event subject.
    pub fn parse_job_event(&self, subject: &str) -> Option<JobEventAddress> {
        let (job, what) = self.after(subject, "event.job.")?.split_once('.')?;
        Some(JobEventAddress { job: job.parse().ok()?, what: what.parse().ok()? })
    }

    /// The model of a rollout event subject and what became of its canary.
    pub fn parse_rollout_event(&self, subject: &str) -> Option<(ModelName, RolloutEnd)> {
        let (model, what) = self.after(subject, "event.rollout.")?.split_once('.')?;
        Some((model.parse().ok()?, what.parse().ok()?))
    }

    /// The worker and the order of a control subject.
    pub fn parse_control(&self, subject: &str) -> Option<ControlAddress> {
        let (worker, verb) = self.after(subject, "control.")?.split_once('.')?;
        Some(ControlAddress { worker: worker.parse().ok()?, verb: verb.parse().ok()? })
    }

    /// The worker of a telemetry subject.
    pub fn parse_telemetry(&self, subject: &str) -> Option<WorkerId> {
        self.after(subject, "telemetry.")?.parse().ok()
    }

    /// The model of a monitor subject.
    pub fn parse_monitor(&self, subject: &str) -> Option<MonitorAddress> {
        let (model, what) = self.after(subject, "monitor.")?.split_once('.')?;
        let model = model.parse().ok()?;
        match what {
            "window" => Some(MonitorAddress::Window(model)),
            "alert" => Some(MonitorAddress::Alert(model)),
            _ => None,
        }
    }

    /// The stream of a dead letter subject.
    pub fn parse_dead_letter<'subject>(&self, subject: &'subject str) -> Option<&'subject str> {
        self.after(subject, "dead.").filter(|stream| !stream.is_empty() && !stream.contains('.'))
    }

    fn after<'subject>(&self, subject: &'subject str, family: &str) -> Option<&'subject str> {
        subject.strip_prefix(&self.root)?.strip_prefix(family)
    }
}

fn model_and_version(tokens: &str) -> Option<(ModelName, Option<ModelVersion>)> {
    match tokens.split_once('.') {
        None => Some((tokens.parse().ok()?, None)),
        Some((model, version)) => Some((model.parse().ok()?, Some(version.parse().ok()?))),
    }
}

/// Percent-encodes what has a meaning in subjects.
pub(super) fn escape(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for character in id.chars() {
        match character {
            '.' | '*' | '>' | '%' => {
                // Writing to a String cannot fail.
                let _ = write!(token, "%{:02X}", u32::from(character));
            }
            _ => token.push(character),
        }
    }
    token
}

fn unescape(token: &str) -> Option<String> {
    let mut id = String::with_capacity(token.len());
    let mut rest = token;
    while let Some((plain, encoded)) = rest.split_once('%') {
        id.push_str(plain);
        let (digits, after) = encoded.split_at_checked(2)?;
        id.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        rest = after;
    }
    id.push_str(rest);
    Some(id)
}
