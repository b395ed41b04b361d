//! Ends durable requests that no worker ends: those to models that nobody serves, or serves no longer.
//!
//! A worker ends each request that it takes, in time or too late. Here the stream is read without taking anything, so that what is
//! taken goes its way, and only what is still there some time after it should have been answered gets its error and a
//! dead letter.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use leat_contract::{AssetRole, DurableRequest, ErrorCode, ErrorDetail, ModelName, Subjects};
use leat_messaging::{Backlog, Error, EventLog, Storage, Waiting};
use leat_service_runtime::unix_ms;
use tokio::sync::watch;

use crate::Settings;
use crate::desired::Desired;
use crate::metrics::ModelMetrics;

/// Requests whose ends are known at once; further ones are read when some of these have gone. 16 MB.
const KNOWN_MAX: usize = 1_000_000;
/// Looks at the stream in each time that a request is left to the workers.
const LOOKS_PER_GRACE: u64 = 4;

/// Ends what is overdue, again and again.
pub(crate) struct Overdue {
    backlog: Backlog,
    results: EventLog,
    subjects: Subjects,
    metrics: ModelMetrics,
    desired: watch::Receiver<Desired>,
    grace_ms: u64,
    wait_max_ms: u64,
    /// When each request that was read should have been answered, and its place in the stream; the earliest first.
    known: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Overdue {
    pub(crate) fn new(
        storage: &Storage,
        settings: &Settings,
        metrics: ModelMetrics,
        desired: watch::Receiver<Desired>,
    ) -> Self {
        Self {
            backlog: storage.async_backlog(),
            results: storage.event_log(AssetRole::Results),
            subjects: storage.subjects().clone(),
            metrics,
            desired,
            grace_ms: settings.durable_grace_ms,
            wait_max_ms: settings.durable_wait_max_ms,
            known: BinaryHeap::new(),
        }
    }

    /// Never ends by itself. A look that fails is repeated: nothing leaves the stream before its dead letter is kept.
    pub(crate) async fn watch(mut self) -> Result<(), std::convert::Infallible> {
        let pause = Duration::from_millis(self.grace_ms / LOOKS_PER_GRACE);
        loop {
            tokio::time::sleep(pause).await;
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "cannot look for durable requests that nobody takes");
            }
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let ripe = unix_ms().saturating_sub(self.grace_ms);
        self.read(ripe).await?;
        while let Some(Reverse((until, sequence))) = self.known.peek().copied() {
            if until > ripe {
                break;
            }
            // It goes only after it was ended.
            let waits_on = self.end(sequence, ripe).await?;
            self.known.pop();
            self.known.extend(waits_on.map(|until| Reverse((until, sequence))));
        }
        Ok(())
    }

    /// Reads what the workers have left for a while. Most requests are gone by then.
    async fn read(&mut self, ripe: u64) -> Result<(), Error> {
        while self.known.len() < KNOWN_MAX
            && let Some(waiting) = self.backlog.next(ripe).await?
        {
            let until = match DurableRequest::read(waiting.payload()) {
                Ok(request) => self.until(&waiting, &request),
                // Nobody can answer it.
                Err(_) => waiting.accepted_at_ms(),
            };
            self.known.push(Reverse((until, waiting.sequence())));
        }
        Ok(())
    }

    fn until(&self, waiting: &Waiting, request: &DurableRequest) -> u64 {
        request.waits_until(waiting.accepted_at_ms(), self.wait_max_ms)
    }

    /// Ends the request with this sequence if it is there and overdue. Gives until when it waits if the stream lost what
    /// it had and has another request in its place.
    async fn end(&self, sequence: u64, ripe: u64) -> Result<Option<u64>, Error> {
        let Some(waiting) = self.backlog.get(sequence).await? else { return Ok(None) };
        let model = self.subjects.parse_async_infer(waiting.subject());
        let reason = match (DurableRequest::read(waiting.payload()), &model) {
            (Ok(request), Some(model)) => {
                let until = self.until(&waiting, &request);
                if until > ripe {
                    return Ok(Some(until));
                }
                self.answer(model, &request).await?
            }
            (Ok(_), None) => format!("{} names no model", waiting.subject()),
            (Err(error), _) => error.to_string(),
        };
        self.backlog.dead_letter(&waiting, &reason).await?;
        self.metrics.durable_overdue();
        Ok(None)
    }

    /// Publishes the error that is its answer, and gives it as text.
    async fn answer(&self, model: &ModelName, request: &DurableRequest) -> Result<String, Error> {
        let text = format!("the request waited for longer than it may: {}", self.why_not(model));
        let detail = ErrorDetail::new(ErrorCode::DeadlineExceeded, text);
        let (subject, id) = (self.subjects.result(&request.id), request.result_message_id(model));
        self.results.publish_error(subject, &id, &detail, request.encoding).await?;
        Ok(detail.to_string())
    }

    fn why_not(&self, model: &ModelName) -> &'static str {
        let desired = self.desired.borrow();
        let is_deployed = desired.deployments.iter().any(|deployment| deployment.model == *model);
        if desired.is_known && !is_deployed { "the model is not deployed" } else { "no worker answered it" }
    }
}
