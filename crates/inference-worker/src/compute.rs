//! The threads that answer requests: take what is ready, run it by version, send the answers, repeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_contract::{ModelName, PredictionRecord};
use leat_engine::Scratch;
use leat_messaging::{Connection, Error as MessagingError, Subject};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::batch::{Batch, BatchLimits, Buffers, Outcome};
use crate::loaded::LoadedVersion;
use crate::patience::Patience;
use crate::queue::Enough;
use crate::shadow::Copies;
use crate::shared::Shared;
use crate::work::{Content, Work};
use crate::{Error, Settings};

/// Where records of predictions go.
pub(crate) type Records = mpsc::Sender<(ModelName, PredictionRecord)>;

/// A compute thread; it ends when the queue is closed and empty.
#[derive(Debug)]
pub(crate) struct ComputeThread {
    name: String,
    ended: oneshot::Receiver<()>,
}

impl ComputeThread {
    /// Starts a thread.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn start(
        index: usize,
        shared: Arc<Shared>,
        records: Records,
        copies: Copies,
    ) -> Result<Self, Error> {
        let name = format!("compute {index}");
        let (end, ended) = oneshot::channel();
        let mut computing = Computing::new(index, shared, records, copies);
        let started = std::thread::Builder::new().name(name.clone()).spawn(move || {
            computing.work();
            // Nobody listens any more when the worker has given up waiting.
            let _ = end.send(());
        });
        let failed = |error: std::io::Error| Error::Thread { name: name.clone(), reason: error.to_string() };
        started.map_err(failed)?;
        Ok(Self { name, ended })
    }

    /// Waits until the thread has ended.
    ///
    /// # Errors
    /// When it panicked.
    pub(crate) async fn ended(self) -> Result<(), Error> {
        let panicked = |_| Error::Thread { name: self.name.clone(), reason: "it panicked".to_owned() };
        self.ended.await.map_err(panicked)
    }
}

/// What one thread works with.
struct Computing {
    index: usize,
    shared: Arc<Shared>,
    records: Records,
    copies: Copies,
    runtime: Handle,
    scratch: Scratch,
    patience: Patience,
    batches: Vec<Batch>,
    spare: Vec<Buffers>,
    outcome: Outcome,
}

impl Computing {
    fn new(index: usize, shared: Arc<Shared>, records: Records, copies: Copies) -> Self {
        Self {
            index,
            shared,
            records,
            copies,
            runtime: Handle::current(),
            scratch: Scratch::default(),
            patience: Patience::default(),
            batches: Vec::new(),
            spare: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    fn work(&mut self) {
        let shared = self.shared.clone();
        let Settings { batch_requests_max, .. } = shared.settings;
        let mut taken = Vec::with_capacity(batch_requests_max);
        while shared.queue.take(self.index, &mut taken, batch_requests_max) {
            self.wait_for_more(&mut taken);
            self.answer(&mut taken);
        }
    }

    /// Waits for a larger batch when the deployment says so, it paid lately, and nobody else is held up: everything taken is
    /// for one model, and the wait ends when a request for another comes. Rows are known only once a request is read, so here
    /// sizes count requests: each has at least one row.
    fn wait_for_more(&mut self, taken: &mut Vec<Work>) {
        let Some(first) = taken.first() else { return };
        let (served, received) = (first.target.served.clone(), first.received);
        let is_same = |work: &Work| Arc::ptr_eq(&work.target.served, &served);
        let batching = served.routes().batching.clone();
        let wanted = batching.preferred_size.unwrap_or(batching.max_size);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let wanted = wanted.min(self.shared.settings.batch_requests_max);
        let is_alone = taken.len() < wanted && taken.iter().all(is_same);
        if batching.max_delay_us == 0 || !is_alone || !self.patience.should_wait() {
            return;
        }
        let until = received + Duration::from_micros(batching.max_delay_us.into());
        let before = taken.len();
        self.shared.queue.take_until(self.index, taken, Enough { count: wanted, until }, is_same);
        self.patience.waited(taken.len() - before);
    }

    fn answer(&mut self, taken: &mut Vec<Work>) {
        let limits = BatchLimits {
            rows_max: self.shared.settings.batch_rows_max,
            reply_bytes_max: self.shared.context.connections.reply.payload_bytes_max(),
        };
        for work in taken.drain(..) {
            work.leave_queue();
            match work.waiting.is_over(work.received, Instant::now()) {
                Some(error) => self.refuse(work, &error),
                None => self.sort(work, limits),
            }
        }
        while let Some(batch) = self.batches.pop() {
            self.run(batch, limits);
        }
        self.send();
    }

    /// Answers a request that is not run.
    fn refuse(&mut self, work: Work, error: &Error) {
        work.target.count_refused(error.code(), 1);
        self.outcome.answers.extend(work.refuse(error));
    }

    fn run(&mut self, mut batch: Batch, limits: BatchLimits) {
        let begun = Instant::now();
        batch.run(limits, &self.shared.team, &mut self.scratch, &mut self.outcome);
        self.send();
        batch.took(begun.elapsed());
        let is_busy = self.shared.queue.len() > self.shared.settings.batch_requests_max;
        batch.copy(&self.copies, is_busy);
        self.record(&batch.version().model);
        self.spare.push(batch.into_buffers());
    }

    /// Puts a request to the others that the same version answers.
    fn sort(&mut self, work: Work, limits: BatchLimits) {
        let Some(chosen) = work.target.choose(work.sticky) else {
            let reason = format!("no version of {} answers", work.target.served.name);
            return self.refuse(work, &Error::Unavailable { reason });
        };
        let known = self.batches.iter().position(|batch| batch.is_of(&chosen.0));
        let place = match known {
            Some(place) => place,
            None => {
                let Some(plan) = chosen.0.plan.get() else { return self.park(work, &chosen.0) };
                self.shared.budget.used(&chosen.0);
                let buffers = self.spare.pop().unwrap_or_default();
                self.batches.push(Batch::new(work.target.served.clone(), chosen, plan, buffers));
                self.batches.len() - 1
            }
        };
        let Some(batch) = self.batches.get_mut(place) else { return };
        batch.add(work, limits, &mut self.outcome);
        if batch.is_full(limits) {
            let full = self.batches.swap_remove(place);
            self.run(full, limits);
        }
    }

    /// Keeps a request until the version that answers it is back in memory.
    fn park(&self, work: Work, version: &Arc<LoadedVersion>) {
        work.target.served.requeued(work.payload.len());
        if self.shared.queue.park(work) {
            self.shared.alarm.notify_one();
        }
        self.shared.budget.want(version);
    }

    /// Sends the answers that are there, in one go: the connection writes them together.
    fn send(&mut self) {
        let answers = &mut self.outcome.answers;
        if answers.is_empty() {
            return;
        }
        let connection = &self.shared.context.connections.reply;
        let lost = self.runtime.block_on(async {
            let mut lost = 0;
            for answer in answers.drain(..) {
                lost += u64::from(send(connection, answer.reply, answer.content).await.is_err());
            }
            lost
        });
        self.shared.metrics.replies_lost.inc_by(lost);
    }

    fn record(&mut self, model: &ModelName) {
        for record in self.outcome.records.drain(..) {
            if self.records.try_send((model.clone(), record)).is_err() {
                self.shared.metrics.predictions_dropped.inc();
            }
        }
    }
}

/// The one place from which a request is answered.
pub(crate) async fn send(
    connection: &Connection,
    reply: Subject,
    content: Content,
) -> Result<(), MessagingError> {
    match content {
        Content::Result(bytes) => connection.publish(reply, bytes).await,
        Content::Refusal(detail, encoding) => connection.publish_error(reply, &detail, encoding).await,
    }
}
