//! Takes jobs of one kind, one after the other, until the service stops.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_contract::{Asset, AssetRole, JobEventKind, JobState, JobStatus};
use leat_messaging::micro::{EndpointInfo, EndpointStats, ServiceInfo};
use leat_messaging::{Delivery, micro, trace};
use tracing::{Instrument, info, info_span, warn};

use super::Work;
use super::attempt::Attempt;
use super::checkpoints::Checkpoints;
use super::conclusion::{Conclusion, Outcome, note};
use super::document::Document;
use super::events::Events;
use super::instruments::Instruments;
use super::intake::{self, Intake};
use super::registration::Registration;
use super::setback::Setback;
use crate::{Context, Error};

/// How long one look into the queue takes.
const TAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a message waits whose job cannot be looked up now.
const LOOK_UP_AGAIN_AFTER: Duration = Duration::from_secs(2);
const BROKER_PAUSE: Duration = Duration::from_millis(500);

/// Limits of one job.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The least time between two checkpoints.
    pub checkpoint_every: Duration,
    /// How long a computation may show no sign of life before the job is left to another worker.
    pub stall: Duration,
}

/// Works on the jobs of one kind until shutdown, then hands over the one it has.
///
/// # Errors
/// When the queue cannot be used, or a computation shows no sign of life: only a new process gets rid of its thread.
pub async fn run<W: Work>(work: W, context: Context, limits: Limits) -> Result<(), Error> {
    let mut queue = context.storage.job_queue(W::KIND);
    let micro = announce::<W>(&context).await?;
    let runner = Runner {
        work,
        limits,
        events: Events::new(&context),
        checkpoints: Checkpoints::new(&context),
        instruments: Instruments::register(&context.metrics, W::KIND),
        endpoint: add_endpoint::<W>(&micro, &context)?,
        context: context.clone(),
    };
    let checkpoints = runner.checkpoints.clone();
    let shutdown = context.shutdown.clone();
    context.tasks.spawn_finite("sweep", async move {
        shutdown.run_until_cancelled(checkpoints.sweep()).await;
        Ok::<(), Infallible>(())
    });
    context.readiness.set_ready();
    let outcome = loop {
        let taken = match context.shutdown.run_until_cancelled(queue.take_any(TAKE_TIMEOUT)).await {
            None => break Ok(()),
            Some(Ok(taken)) => taken,
            Some(Err(error)) if error.is_retryable() => {
                warn!(%error, "no job can be taken now");
                tokio::time::sleep(BROKER_PAUSE).await;
                continue;
            }
            Some(Err(error)) => break Err(error.into()),
        };
        if let Some(delivery) = taken
            && let Err(error) = runner.handle(delivery).await
        {
            break Err(error);
        }
    };
    queue.close().await;
    micro.stop().await;
    outcome
}

async fn announce<W: Work>(context: &Context) -> Result<micro::Service, Error> {
    let info = ServiceInfo {
        name: format!("{}-{}", context.subjects.prefix(), W::SERVICE),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: W::DESCRIPTION.to_owned(),
        metadata: BTreeMap::new(),
    };
    Ok(micro::Service::start(&context.connections.control, context.instance.as_str(), info).await?)
}

fn add_endpoint<W: Work>(micro: &micro::Service, context: &Context) -> Result<Arc<EndpointStats>, Error> {
    // Nobody listens on the subject: the jobs come from a consumer of a stream.
    let stream = Asset::new(&context.subjects, AssetRole::JobQueue).name;
    let consumer = W::KIND.to_string();
    let info = EndpointInfo {
        name: W::KIND.to_string(),
        subject: context.subjects.job(W::KIND),
        queue_group: String::new(),
        metadata: BTreeMap::from([("stream".to_owned(), stream), ("consumer".to_owned(), consumer)]),
    };
    Ok(micro.add_endpoint(info)?)
}

struct Runner<W> {
    work: W,
    context: Context,
    limits: Limits,
    events: Events,
    checkpoints: Checkpoints,
    instruments: Instruments,
    endpoint: Arc<EndpointStats>,
}

impl<W: Work> Runner<W> {
    /// Handles one message, whatever it is.
    async fn handle(&self, delivery: Delivery) -> Result<(), Error> {
        let span =
            info_span!("job", kind = %W::KIND, id = tracing::field::Empty, epoch = tracing::field::Empty);
        trace::extract(delivery.message(), &span);
        self.sort(delivery).instrument(span).await
    }

    async fn sort(&self, delivery: Delivery) -> Result<(), Error> {
        match intake::take(&delivery, &self.context).await {
            Ok(Intake::Claimed(document)) => return self.attempt(delivery, document).await,
            Ok(Intake::Ended(status)) => self.end_again(delivery, &status).await,
            Ok(Intake::Unwanted(mut document, reason)) => {
                let conclusion = self.conclusion(delivery, &mut document);
                let outcome = conclusion.conclude(Err(reason)).await;
                self.count(&document, outcome, Duration::ZERO);
            }
            Ok(Intake::Undecodable(reason)) => self.give_up(delivery, &reason).await,
            Err(Setback::Refused(detail)) => self.give_up(delivery, &detail.message).await,
            Err(setback) => {
                warn!(?setback, "a job cannot be looked up now");
                note(delivery.give_back(LOOK_UP_AGAIN_AFTER).await);
            }
        }
        Ok(())
    }

    /// Does what the worker before may not have come to, which wrote the end down and died before the message ended.
    async fn end_again(&self, delivery: Delivery, status: &JobStatus) {
        let message = status.error.as_ref().map(|detail| detail.message.clone());
        self.events.tell(status, final_event(status), message.clone()).await;
        self.checkpoints.forget(status.checkpoint.as_ref()).await;
        let is_worn_out =
            status.state == JobState::Failed && u64::from(status.attempt) >= Delivery::ATTEMPTS_MAX;
        note(match message {
            Some(reason) if is_worn_out => delivery.dead_letter(&reason).await,
            _ => delivery.done().await,
        });
    }

    /// Ends a message that no worker can make a job of.
    async fn give_up(&self, delivery: Delivery, reason: &str) {
        self.endpoint.record(Duration::ZERO, Err(reason));
        note(delivery.dead_letter(reason).await);
    }

    /// Works on a job that is ours.
    async fn attempt(&self, delivery: Delivery, mut document: Document) -> Result<(), Error> {
        let _inflight = self.context.inflight.enter();
        let began = Instant::now();
        self.instruments.running.inc();
        let (job, epoch) = (document.status().id.clone(), document.status().epoch);
        // Signed, since the attributes of a span know no other whole numbers: an unsigned one would be a text.
        let signed = i64::try_from(epoch).ok();
        tracing::Span::current().record("id", job.as_str()).record("epoch", signed);
        self.tell_begin(document.status()).await;
        let attempt = Attempt {
            work: &self.work,
            context: &self.context,
            limits: self.limits,
            events: &self.events,
            checkpoints: &self.checkpoints,
            document: &mut document,
        };
        let ended = attempt.run(&delivery).await;
        let outcome = self.conclusion(delivery, &mut document).conclude(ended).await;
        self.instruments.running.dec();
        self.count(&document, outcome, began.elapsed());
        info!(outcome = outcome.as_str(), elapsed_ms = began.elapsed().as_millis(), "attempt ended");
        if outcome == Outcome::Stalled {
            let reason = format!("job {job} showed no sign of life for {:?}", self.limits.stall);
            return Err(Error::Task { name: "compute", reason });
        }
        Ok(())
    }

    async fn tell_begin(&self, status: &JobStatus) {
        info!(model = %status.spec.model(), attempt = status.attempt, "job begun");
        if status.epoch == 1 {
            return self.events.tell(status, JobEventKind::Started, None).await;
        }
        let from = status.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position);
        let why = status.error.as_ref().map(|error| format!(" after: {}", error.message)).unwrap_or_default();
        let message = format!("attempt {} goes on from position {from}{why}", status.attempt);
        self.events.tell(status, JobEventKind::Retried, Some(message)).await;
    }

    fn conclusion<'a>(&'a self, delivery: Delivery, document: &'a mut Document) -> Conclusion<'a> {
        let registration = Registration::new(&self.context);
        Conclusion { delivery, document, events: &self.events, checkpoints: &self.checkpoints, registration }
    }

    fn count(&self, document: &Document, outcome: Outcome, took: Duration) {
        self.instruments.ended(outcome.as_str(), took);
        if !outcome.is_final() {
            return;
        }
        let error = document.status().error.as_ref().map(|detail| detail.message.as_str());
        match (outcome, error) {
            (Outcome::Failed, error) => self.endpoint.record(took, Err(error.unwrap_or("the job failed"))),
            _ => self.endpoint.record(took, Ok(())),
        }
    }
}

fn final_event(status: &JobStatus) -> JobEventKind {
    match status.state {
        JobState::Succeeded => JobEventKind::Succeeded,
        JobState::Cancelled => JobEventKind::Cancelled,
        _ => JobEventKind::Failed,
    }
}
