//! How requests to a model are handled, as options of the command line.

use std::collections::BTreeMap;

use clap::Args;
use leat_catalogue::Registry;
use leat_contract::{Caching, Deployment, ModelRef, Pipeline, PipelineMember, PipelineMode};

use crate::Error;

/// How requests to a model are handled, whichever version answers. What is not given stays as it is.
#[derive(Clone, Debug, Args)]
pub(super) struct Serving {
    /// Rows of one run of the model, at most (at first 64).
    #[arg(long, value_name = "ROWS")]
    max_batch: Option<u32>,
    /// How long a worker waits for a fuller batch, in microseconds (at first 0: it takes what is ready). After waits that were in vain it
    /// skips some.
    #[arg(long, value_name = "MICROSECONDS")]
    max_delay_us: Option<u32>,
    /// Rows that end such a wait early (at first as many as make the largest batch).
    #[arg(long, value_name = "ROWS")]
    preferred_batch: Option<u32>,
    /// Requests that may wait on one worker (at first 1024); the next is refused with error 429.
    #[arg(long, value_name = "REQUESTS")]
    queue_max: Option<u32>,
    /// Bytes of the requests that may wait on one worker (at first 64 MiB).
    #[arg(long, value_name = "BYTES")]
    queue_bytes_max: Option<u64>,
    /// How long a request may wait on a worker, in milliseconds (at first 5000); one that would wait longer is refused at once.
    #[arg(long, value_name = "MILLISECONDS")]
    queue_wait_max_ms: Option<u32>,
    /// The share of requests with an id whose predictions are recorded, so that labels find them (at first 1).
    #[arg(long, value_name = "RATIO")]
    record: Option<f64>,
    /// Keep answers in so many bytes on each worker, for requests with the same rows (at first none; 0 ends it).
    #[arg(long, value_name = "BYTES")]
    cache: Option<u64>,
    /// Another model that takes what the version gives, for example scaler@2; may be given several times. `--then none` ends it, and
    /// so it does the two that follow.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["average_with", "vote_with"])]
    then: Vec<String>,
    /// Another model whose predictions or probabilities are averaged with those of the version; may be given several times.
    #[arg(long, value_name = "MODEL", conflicts_with = "vote_with")]
    average_with: Vec<String>,
    /// Another classifier that votes beside the version; may be given several times.
    #[arg(long, value_name = "MODEL")]
    vote_with: Vec<String>,
    /// A label that a worker must have to serve the model; may be given several times, and `--select any` takes all away.
    #[arg(long, value_name = "NAME=VALUE")]
    select: Vec<String>,
}

/// Instead of another model: none.
const NONE: &str = "none";
/// Instead of labels: every worker.
const ANY: &str = "any";

impl Serving {
    /// # Errors
    /// When a label has no value.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.select.iter().find(|label| *label != ANY && !label.contains('=')) {
            Some(label) => {
                Err(Error::Usage(format!("--select {label}: a label has a name and a value, pool=small")))
            }
            None => Ok(()),
        }
    }

    /// The pipeline that is asked for; nothing when it stays as it is.
    ///
    /// # Errors
    /// When there is no such model.
    pub(super) async fn pipeline(&self, registry: &Registry) -> Result<Option<Option<Pipeline>>, Error> {
        let (mode, names) = match (&*self.then, &*self.average_with, &*self.vote_with) {
            ([], [], []) => return Ok(None),
            ([], [], votes) => (PipelineMode::Vote, votes),
            ([], others, _) => (PipelineMode::Average, others),
            (next, ..) => (PipelineMode::Sequence, next),
        };
        if names.iter().any(|name| name == NONE) {
            return Ok(Some(None));
        }
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let manifest = registry.resolve(&name.parse::<ModelRef>()?).await?;
            let (model, version, digest) = (manifest.model, manifest.version, manifest.digest);
            members.push(PipelineMember { model, version, digest });
        }
        Ok(Some(Some(Pipeline { mode, members })))
    }

    pub(super) fn apply(&self, deployment: &mut Deployment) {
        let Deployment { batching, limits, record, cache, selector, .. } = deployment;
        batching.max_size = self.max_batch.unwrap_or(batching.max_size);
        batching.max_delay_us = self.max_delay_us.unwrap_or(batching.max_delay_us);
        batching.preferred_size = self.preferred_batch.or(batching.preferred_size);
        limits.queue_max = self.queue_max.unwrap_or(limits.queue_max);
        limits.queue_bytes_max = self.queue_bytes_max.unwrap_or(limits.queue_bytes_max);
        limits.queue_wait_max_ms = self.queue_wait_max_ms.unwrap_or(limits.queue_wait_max_ms);
        record.ratio = self.record.unwrap_or(record.ratio);
        if let Some(bytes_max) = self.cache {
            *cache = (bytes_max > 0).then_some(Caching { bytes_max });
        }
        if !self.select.is_empty() {
            *selector = labels(&self.select);
        }
    }
}

fn labels(given: &[String]) -> BTreeMap<String, String> {
    let pairs = given.iter().filter_map(|label| label.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
