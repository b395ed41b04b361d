//! One attempt at a job, from taken to ended.

use std::convert::Infallible;
use std::time::Duration;

use leat_contract::{CheckpointRef, ErrorCode, ErrorDetail, JobEventKind, JobResult};
use leat_messaging::{Delivery, Error as MessagingError};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::{debug, warn};

use super::checkpoints::{Checkpoints, Upload};
use super::compute::Computation;
use super::document::Document;
use super::events::Events;
use super::pulse::{Heart, Stop, Watcher, pair};
use super::registration::Registration;
use super::runner::Limits;
use super::setback::Setback;
use super::{Failure, Product, Work};
use crate::{Context, unix_ms};

/// How often the document is read while a job runs, so that a request to cancel is noticed within a second.
const DOCUMENT_EVERY: Duration = Duration::from_millis(500);
/// How often progress is written and told, at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How long a stopping instance waits for the computation to reach a state it can save. Afterwards the successor goes on
/// from the checkpoint before.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a product is kept for a broker that is away.
const REGISTER_PATIENCE: Duration = Duration::from_secs(60);
const REGISTER_PAUSE: Duration = Duration::from_millis(500);

/// One attempt at a job.
#[derive(Debug)]
pub(super) struct Attempt<'a, W> {
    pub(super) work: &'a W,
    pub(super) context: &'a Context,
    pub(super) limits: Limits,
    pub(super) events: &'a Events,
    pub(super) checkpoints: &'a Checkpoints,
    pub(super) document: &'a mut Document,
}

impl<W: Work> Attempt<'_, W> {
    /// Does the job. Meanwhile the broker is told that the work goes on.
    pub(super) async fn run(mut self, delivery: &Delivery) -> Result<JobResult, Setback> {
        let heart = Heart::new();
        tokio::select! {
            ended = self.work(&heart) => ended,
            never = keep_alive(delivery, &heart) => match never {},
        }
    }

    async fn work(&mut self, heart: &Heart) -> Result<JobResult, Setback> {
        let registration = Registration::new(self.context);
        if let Some(result) = registration.existing(self.document).await? {
            return Ok(result);
        }
        let spec = &self.document.status().spec;
        spec.validate().map_err(|error| Setback::Refused(error.detail()))?;
        if spec.kind() != W::KIND {
            let message = format!("a {} job does not belong on the subject of {} jobs", spec.kind(), W::KIND);
            return Err(Setback::Refused(ErrorDetail::new(ErrorCode::InvalidArgument, message)));
        }
        let gathering = self.work.gather(self.document.status(), self.context);
        let gathered = self.context.shutdown.run_until_cancelled(gathering).await;
        let input = gathered.ok_or(Setback::HandedOver)?.map_err(|failure| judge(failure, None))?;
        let resume = self.checkpoints.load(self.document.status()).await?;
        let product = self.compute(input, resume, heart).await?;
        self.register(&registration, &product).await
    }

    /// Runs the computation and looks after it.
    async fn compute(
        &mut self,
        input: W::Input,
        resume: Option<Vec<u8>>,
        heart: &Heart,
    ) -> Result<Product, Setback> {
        let (pulse, mut watcher) = pair(heart, self.limits.checkpoint_every);
        let started = Computation::start::<W>(input, resume, pulse);
        let mut computation = started.map_err(|failure| judge(failure, None))?;
        let mut ticks = interval(DOCUMENT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = None;
        let mut patience_ends = None;
        let mut upload = Upload::new(self.checkpoints);
        let outcome = loop {
            tokio::select! {
                // What has come is looked at first: silence counts only when there is nothing else.
                biased;
                outcome = computation.outcome() => break outcome,
                () = self.context.shutdown.cancelled(), if patience_ends.is_none() => {
                    heart.ask(Stop::HandedOver);
                    patience_ends = Some(Instant::now() + HAND_OVER_PATIENCE);
                }
                () = until(patience_ends) => break Err(Failure::Stopped),
                _ = ticks.tick() => self.look(&mut watcher, &mut told, false, heart).await,
                Some(stored) = upload.end() => self.saved(stored, heart).await,
                snapshot = watcher.snapshot(), if upload.is_idle() => {
                    upload.begin(self.document.status(), snapshot);
                }
                () = heart.falls_silent(self.limits.stall) => return Err(Setback::Stalled),
            }
        };
        if heart.stop() == Some(Stop::HandedOver)
            && let Some(snapshot) = watcher.latest_snapshot()
        {
            upload.begin(self.document.status(), snapshot);
            if let Some(stored) = upload.end().await {
                self.saved(stored, heart).await;
            }
        }
        // The last progress is written in any case, and a request to cancel that came meanwhile still counts.
        self.look(&mut watcher, &mut told, true, heart).await;
        match (outcome, heart.stop()) {
            (Ok(_), Some(Stop::Cancelled)) => Err(Setback::Cancelled),
            (_, Some(Stop::Lost)) => Err(Setback::Lost),
            (Ok(product), _) => Ok(product),
            (Err(failure), stop) => Err(judge(failure, stop)),
        }
    }

    /// Writes progress down and tells it, or at least reads what others wrote. The last progress is written also when it
    /// is too early to tell it. A broker that is away stops no job.
    async fn look(
        &mut self,
        watcher: &mut Watcher,
        told: &mut Option<Instant>,
        is_last: bool,
        heart: &Heart,
    ) {
        let is_due = told.is_none_or(|told| told.elapsed() >= PROGRESS_EVERY);
        let progress = if is_due || is_last { watcher.new_progress() } else { None };
        let outcome = match &progress {
            None => self.document.refresh().await,
            Some(progress) => {
                let written = self.document.change(|status| {
                    status.progress = Some(progress.clone());
                    status.updated_at = unix_ms();
                    Ok(())
                });
                written.await
            }
        };
        match outcome {
            Ok(()) if self.document.status().cancel_requested => heart.ask(Stop::Cancelled),
            Ok(()) if progress.is_some() && is_due => {
                self.events.progress(self.document.status()).await;
                *told = Some(Instant::now());
            }
            Ok(()) => {}
            Err(Setback::Lost) => heart.ask(Stop::Lost),
            Err(setback) => debug!(?setback, "the status of the job cannot be read or written now"),
        }
    }

    /// Makes a stored state the one to go on from. Without it the job only goes on from an older one.
    async fn saved(&mut self, stored: Result<CheckpointRef, MessagingError>, heart: &Heart) {
        let pointed = match &stored {
            Ok(saved) => self.checkpoints.point(self.document, saved).await,
            Err(error) => return warn!(%error, "a checkpoint is not saved"),
        };
        match pointed {
            Ok(()) => self.events.tell(self.document.status(), JobEventKind::Checkpointed, None).await,
            Err(Setback::Lost) => heart.ask(Stop::Lost),
            Err(setback) => warn!(?setback, "a checkpoint is stored, but the status cannot be written"),
        }
    }

    /// Registers the product, also when the broker is away for a while.
    async fn register(
        &mut self,
        registration: &Registration,
        product: &Product,
    ) -> Result<JobResult, Setback> {
        let deadline = Instant::now() + REGISTER_PATIENCE;
        loop {
            match self.register_once(registration, product).await {
                Err(Setback::Retry(detail))
                    if Instant::now() < deadline && !self.context.shutdown.is_cancelled() =>
                {
                    warn!(%detail, "the version cannot be registered now");
                    sleep(REGISTER_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn register_once(
        &mut self,
        registration: &Registration,
        product: &Product,
    ) -> Result<JobResult, Setback> {
        if let Err(Setback::Lost) = self.document.refresh().await {
            return Err(Setback::Lost);
        }
        if self.document.status().cancel_requested {
            // Too late when the version is there already.
            return registration.existing(self.document).await?.ok_or(Setback::Cancelled);
        }
        registration.register(self.document, product).await
    }
}

/// What a failure of the work means for the job.
fn judge(failure: Failure, stop: Option<Stop>) -> Setback {
    match (failure, stop) {
        (Failure::Refused(detail), _) => Setback::Refused(detail),
        (Failure::Transient(detail), _) => Setback::Retry(detail),
        (Failure::Stopped, Some(Stop::Cancelled)) => Setback::Cancelled,
        (Failure::Stopped, Some(Stop::HandedOver)) => Setback::HandedOver,
        (Failure::Stopped, Some(Stop::Lost)) => Setback::Lost,
        (Failure::Stopped, None) => Setback::Retry(ErrorDetail::new(
            ErrorCode::Internal,
            "the computation stopped without being asked",
        )),
    }
}

/// Tells the broker that the work goes on.
async fn keep_alive(delivery: &Delivery, heart: &Heart) -> Infallible {
    loop {
        sleep(Delivery::PROGRESS_EVERY).await;
        if heart.stop() == Some(Stop::Lost) {
            // The job may be another worker's: speaking for it would hide that worker's death.
            return std::future::pending().await;
        }
        if let Err(error) = delivery.progress().await {
            debug!(%error, "the broker cannot be told that the work goes on");
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
