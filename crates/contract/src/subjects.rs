//! Every subject, built and parsed here and nowhere else.

mod parsing;

pub use parsing::{ControlAddress, JobEventAddress, MonitorAddress};

use crate::{
    ControlVerb, Error, JobEventKind, JobId, JobKind, ModelName, ModelVersion, RequestId, RolloutEnd,
    WorkerId, version,
};

/// The prefix that applies unless another is set.
pub const DEFAULT_PREFIX: &str = "leat";
/// The queue group of everything that only one member of a group should answer.
pub const QUEUE_GROUP: &str = "q";

/// Builds and parses the subjects under one prefix. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
    /// `<prefix>.v1.`
    root: String,
}

impl Default for Subjects {
    fn default() -> Self {
        Self::under(DEFAULT_PREFIX)
    }
}

impl Subjects {
    /// Subjects under a prefix: one token of 1 to 32 characters of a-z, 0-9, '_' and '-', beginning with a letter.
    /// Names of streams and buckets derive from it too.
    ///
    /// # Errors
    /// [`Error::Name`] for any other text.
    pub fn new(prefix: &str) -> Result<Self, Error> {
        let is_word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        let is_prefix = prefix.len() <= 32
            && prefix.starts_with(|first: char| first.is_ascii_lowercase())
            && prefix.bytes().all(is_word);
        if is_prefix {
            Ok(Self::under(prefix))
        } else {
            Err(Error::name(
                "prefix",
                prefix,
                "1 to 32 characters of a-z, 0-9, '_' and '-', the first a letter",
            ))
        }
    }

    fn under(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), root: format!("{prefix}.{}.", version::MAJOR) }
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Inference on the live route of a model.
    pub fn infer(&self, model: &ModelName) -> String {
        format!("{}infer.{model}", self.root)
    }

    /// Inference on one version of a model.
    pub fn infer_version(&self, model: &ModelName, version: ModelVersion) -> String {
        format!("{}infer.{model}.{version}", self.root)
    }

    /// What a model takes and gives.
    pub fn metadata(&self, model: &ModelName) -> String {
        format!("{}metadata.{model}", self.root)
    }

    /// What one version of a model takes and gives.
    pub fn metadata_version(&self, model: &ModelName, version: ModelVersion) -> String {
        format!("{}metadata.{model}.{version}", self.root)
    }

    /// Ground truth for earlier requests to a model.
    pub fn label(&self, model: &ModelName) -> String {
        format!("{}label.{model}", self.root)
    }

    /// What was predicted for requests with an id.
    pub fn prediction(&self, model: &ModelName) -> String {
        format!("{}prediction.{model}", self.root)
    }

    /// Durable inference: accepted now, answered on [`Subjects::result`].
    pub fn async_infer(&self, model: &ModelName) -> String {
        format!("{}async.{model}", self.root)
    }

    /// Where the answer to a durable request goes. The characters `.`, `*`, `>` and `%` of the id are percent-encoded.
    pub fn result(&self, request: &RequestId) -> String {
        format!("{}result.{}", self.root, parsing::escape(request.as_str()))
    }

    /// Where jobs of a kind are submitted.
    pub fn job(&self, kind: JobKind) -> String {
        format!("{}job.{kind}", self.root)
    }

    /// Something that happened to a job.
    pub fn job_event(&self, job: &JobId, what: JobEventKind) -> String {
        format!("{}event.job.{job}.{what}", self.root)
    }

    /// Everything that happens to one job.
    pub fn job_events(&self, job: &JobId) -> String {
        format!("{}event.job.{job}.*", self.root)
    }

    /// What became of a canary of a model.
    pub fn rollout_event(&self, model: &ModelName, what: RolloutEnd) -> String {
        format!("{}event.rollout.{model}.{what}", self.root)
    }

    /// An order to one worker.
    pub fn control(&self, worker: &WorkerId, verb: ControlVerb) -> String {
        format!("{}control.{worker}.{verb}", self.root)
    }

    /// Every order to one worker.
    pub fn control_all(&self, worker: &WorkerId) -> String {
        format!("{}control.{worker}.*", self.root)
    }

    /// The counters of one worker.
    pub fn telemetry(&self, worker: &WorkerId) -> String {
        format!("{}telemetry.{worker}", self.root)
    }

    /// Merged counters of a model over a window of time.
    pub fn monitor_window(&self, model: &ModelName) -> String {
        format!("{}monitor.{model}.window", self.root)
    }

    /// Alerts on a model when they start and end.
    pub fn monitor_alert(&self, model: &ModelName) -> String {
        format!("{}monitor.{model}.alert", self.root)
    }

    /// Messages of a stream that were given up.
    pub fn dead_letter(&self, stream: &str) -> String {
        format!("{}dead.{stream}", self.root)
    }

    /// All inference.
    pub fn infer_all(&self) -> String {
        format!("{}infer.>", self.root)
    }

    /// All durable requests for inference.
    pub fn async_infer_all(&self) -> String {
        format!("{}async.*", self.root)
    }

    /// The answers to all durable requests.
    pub fn result_all(&self) -> String {
        format!("{}result.*", self.root)
    }

    /// All metadata requests.
    pub fn metadata_all(&self) -> String {
        format!("{}metadata.>", self.root)
    }

    /// All labels.
    pub fn label_all(&self) -> String {
        format!("{}label.*", self.root)
    }

    /// All predictions.
    pub fn prediction_all(&self) -> String {
        format!("{}prediction.*", self.root)
    }

    /// Every event.
    pub fn event_all(&self) -> String {
        format!("{}event.>", self.root)
    }

    /// Every event of every job.
    pub fn job_event_all(&self) -> String {
        format!("{}event.job.*.*", self.root)
    }

    /// What became of every canary.
    pub fn rollout_event_all(&self) -> String {
        format!("{}event.rollout.*.*", self.root)
    }

    /// Telemetry of every worker.
    pub fn telemetry_all(&self) -> String {
        format!("{}telemetry.*", self.root)
    }

    /// Windows and alerts of every model.
    pub fn monitor_all(&self) -> String {
        format!("{}monitor.>", self.root)
    }

    /// Windows of every model.
    pub fn monitor_window_all(&self) -> String {
        format!("{}monitor.*.window", self.root)
    }

    /// Alerts of every model.
    pub fn monitor_alert_all(&self) -> String {
        format!("{}monitor.*.alert", self.root)
    }

    /// Dead letters of every stream.
    pub fn dead_letter_all(&self) -> String {
        format!("{}dead.>", self.root)
    }
}

#[cfg(test)]
mod tests;
