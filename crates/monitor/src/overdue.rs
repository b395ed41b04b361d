//! Ends durable requests that no worker ends: those to models that nobody serves, or serves no longer.
//!
//! A worker ends each request that it takes, in time or too late. Here the stream is read without taking anything, so that what is
//! taken goes its way, and only what is still there some time after it should have been answered gets its error and a
//! dead letter.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use leat_contract::headers::{MESSAGE_ID, SERVICE_ERROR_CODE};
use leat_contract::{AssetRole, DurableRequest, ErrorCode, ErrorDetail, ModelName, Subjects};
use leat_messaging::{Backlog, Error, EventLog, Storage, Waiting};
use leat_service_runtime::unix_ms;
use tokio::sync::watch;

use crate::Settings;
use crate::desired::Desired;
use crate::metrics::ModelMetrics;

/// Requests whose ends are known at once, 16 MB; further ones are read when some of these have gone.
const KNOWN_MAX: usize = 1_000_000;
/// Known requests beside twice those that are there: with more, most have been answered long ago, and all are read anew.
const KNOWN_SPARE: u64 = 1_000;
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
        // Without a listing nobody can say why a request was not answered. It fails only when the service ends.
        let _ = self.desired.wait_for(|desired| desired.is_known).await;
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "cannot look for durable requests that nobody takes");
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let look = self.backlog.look().await?;
        let most_are_gone = self.known.len() as u64 > look.messages.saturating_mul(2) + KNOWN_SPARE;
        if most_are_gone {
            self.backlog.rewind();
        }
        if !look.is_same || most_are_gone {
            self.known.clear();
        }
        let ripe = unix_ms().saturating_sub(self.grace_ms);
        self.read(ripe).await?;
        self.end_ripe(ripe).await
    }

    /// Reads what the workers have left for a while. Most requests are gone by then.
    async fn read(&mut self, ripe: u64) -> Result<(), Error> {
        while self.known.len() < KNOWN_MAX
            && let Some(waiting) = self.backlog.next(ripe).await?
        {
            let request = DurableRequest::read(waiting.payload()).ok();
            self.known.push(Reverse((self.until(&waiting, request.as_ref()), waiting.sequence())));
        }
        Ok(())
    }

    /// Until when a request may wait. One that cannot be read may be meant for a worker that knows more.
    fn until(&self, waiting: &Waiting, request: Option<&DurableRequest>) -> u64 {
        let accepted = waiting.accepted_at_ms();
        request.map_or(accepted.saturating_add(self.wait_max_ms), |request| {
            request.waits_until(accepted, self.wait_max_ms)
        })
    }

    /// Ends every known request that should have been answered by then. One that cannot be ended holds up no other: it is tried again
    /// at a later look.
    async fn end_ripe(&mut self, ripe: u64) -> Result<(), Error> {
        let mut failed = Vec::new();
        let mut outcome = Ok(());
        while outcome.is_ok()
            && let Some(Reverse((until, sequence))) = self.known.peek().copied()
            && until <= ripe
        {
            match self.end(sequence, ripe).await {
                Ok(waits_on) => {
                    self.known.pop();
                    self.known.extend(waits_on.map(|until| Reverse((until, sequence))));
                }
                // The next one would fail in the same way.
                Err(error) if error.is_retryable() => outcome = Err(error),
                Err(error) => {
                    tracing::warn!(sequence, %error, "a durable request could not be ended");
                    failed.extend(self.known.pop());
                }
            }
        }
        self.known.extend(failed);
        outcome
    }

    /// Ends the request with this sequence if it is there and overdue. Gives until when it waits if the stream lost what
    /// it had and has another request in its place.
    async fn end(&self, sequence: u64, ripe: u64) -> Result<Option<u64>, Error> {
        let Some(waiting) = self.backlog.get(sequence).await? else { return Ok(None) };
        let request = DurableRequest::read(waiting.payload());
        let until = self.until(&waiting, request.as_ref().ok());
        if until > ripe {
            return Ok(Some(until));
        }
        let reason = match (request, self.subjects.parse_async_infer(waiting.subject())) {
            (Ok(request), Some(model)) => self.answer(&waiting, &model, &request).await?,
            (Ok(_), None) => Some(format!("{} names no model", waiting.subject())),
            (Err(error), _) => Some(error.to_string()),
        };
        match reason {
            Some(reason) => {
                self.backlog.dead_letter(&waiting, &reason).await?;
                self.metrics.durable_overdue();
            }
            None => self.backlog.remove(&waiting).await?,
        }
        Ok(None)
    }

    /// Publishes the error that is its answer, and gives it as text; none when a worker answered it, and ended before it
    /// could say so.
    async fn answer(
        &self,
        waiting: &Waiting,
        model: &ModelName,
        request: &DurableRequest,
    ) -> Result<Option<String>, Error> {
        let subject = self.subjects.result(&request.id);
        let id = request.result_message_id(model, waiting.accepted_at_ms());
        let last = self.results.last(&subject).await?.filter(|last| last.header(MESSAGE_ID) == Some(&id));
        if last.is_some_and(|last| last.header(SERVICE_ERROR_CODE).is_none()) {
            return Ok(None);
        }
        let text = format!("the request waited for longer than it may: {}", self.why_not(model));
        let detail = ErrorDetail::new(ErrorCode::DeadlineExceeded, text);
        self.results.publish_error(subject, &id, &detail, request.encoding).await?;
        Ok(Some(detail.to_string()))
    }

    fn why_not(&self, model: &ModelName) -> &'static str {
        let desired = self.desired.borrow();
        let is_deployed = desired.deployments.iter().any(|deployment| deployment.model == *model);
        if is_deployed { "no worker answered it" } else { "the model is not deployed" }
    }
}
