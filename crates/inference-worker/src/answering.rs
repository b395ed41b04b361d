//! From requests to their answers: sorted by version, run, written.

use std::sync::{Arc, Weak};
use std::time::Instant;

use leat_contract::{ModelName, PredictionRecord};
use leat_engine::{Scratch, Team};
use tokio::sync::mpsc;

use crate::Error;
use crate::batch::{Batch, BatchLimits, Buffers, Means};
use crate::loaded::LoadedVersion;
use crate::reply_memory::ReplyMemory;
use crate::shadow::Copies;
use crate::shared::Shared;
use crate::work::{Answer, Work};

/// Where records of predictions go, as long as somebody takes them.
pub(crate) type Records = mpsc::WeakSender<(ModelName, PredictionRecord)>;

/// Takes answers that are ready out of the list, to be sent.
pub(crate) type Deliver<'a> = dyn FnMut(&mut Vec<Answer>) + 'a;

/// What one thread answers requests with. Its memory is used again and again.
pub(crate) struct Answering {
    records: Records,
    copies: Copies,
    /// Who shares large batches.
    team: Arc<Team>,
    scratch: Scratch,
    /// What was run last.
    last: Weak<LoadedVersion>,
    batches: Vec<Batch>,
    replies: ReplyMemory,
    spare: Vec<Buffers>,
    answers: Vec<Answer>,
    /// Batches whose answers were handed over.
    delivered: Vec<Batch>,
}

impl Answering {
    pub(crate) fn new(records: Records, copies: Copies, team: Arc<Team>) -> Self {
        Self {
            records,
            copies,
            team,
            scratch: Scratch::default(),
            last: Weak::new(),
            batches: Vec::new(),
            replies: ReplyMemory::default(),
            spare: Vec::new(),
            answers: Vec::new(),
            delivered: Vec::new(),
        }
    }

    /// Answers what was taken and hands the answers over, of one batch after the other.
    pub(crate) fn answer(&mut self, shared: &Shared, taken: &mut Vec<Work>, deliver: &mut Deliver<'_>) {
        let limits = BatchLimits {
            rows_max: shared.settings.batch_rows_max,
            reply_bytes_max: shared.context.connections.reply.payload_bytes_max(),
        };
        // Reading a request begins when reading the one before has ended, so that the clock is read once for each.
        let mut now = Instant::now();
        for work in taken.drain(..) {
            work.leave_queue();
            match work.waiting.is_over(work.received, now) {
                Some(error) => {
                    self.refuse(work, &error);
                    now = Instant::now();
                }
                None => {
                    let read = self.sort(shared, (work, now), limits, deliver);
                    now = read.unwrap_or_else(Instant::now);
                }
            }
        }
        while let Some(batch) = self.batches.pop() {
            // Those before wait for no other.
            self.put_away(shared);
            self.run(batch, limits, deliver);
        }
        self.deliver(deliver);
    }

    /// Answers a request that is not run.
    fn refuse(&mut self, work: Work, error: &Error) {
        work.target.count_refused(error.code(), 1);
        self.answers.extend(work.refuse(error));
    }

    fn run(&mut self, mut batch: Batch, limits: BatchLimits, deliver: &mut Deliver<'_>) {
        let begun = Instant::now();
        let Self { team, scratch, last, replies, .. } = self;
        let means = Means { team, scratch, last, replies };
        batch.run(limits, means, &mut self.answers);
        self.deliver(deliver);
        batch.took(begun.elapsed());
        self.delivered.push(batch);
    }

    /// Does what no caller waits for: counts what was answered, hands over what is to be recorded and copied, and repeats what is to be
    /// timed. To be called after each [`Answering::answer`], once the answers are on their way.
    pub(crate) fn settle(&mut self, shared: &Shared) {
        if let Some(mut last) = self.delivered.pop() {
            self.copy(shared, &mut last);
            // Of another one the weights are no longer near.
            last.repeat(&self.team, &mut self.scratch);
            self.count(shared, last);
        }
        self.put_away(shared);
    }

    /// Does all of that but repeating, for which others would wait.
    fn put_away(&mut self, shared: &Shared) {
        while let Some(mut batch) = self.delivered.pop() {
            self.copy(shared, &mut batch);
            self.count(shared, batch);
        }
    }

    fn copy(&self, shared: &Shared, batch: &mut Batch) {
        let is_busy = shared.queue.len() > shared.settings.batch_requests_max;
        batch.copy(&self.copies, is_busy);
    }

    fn count(&mut self, shared: &Shared, mut batch: Batch) {
        batch.settle();
        self.record(shared, &mut batch);
        self.spare.push(batch.into_buffers());
    }

    /// Puts a request to the others that the same version answers. It is read from now on; gives until when, unless more than that was
    /// done.
    fn sort(
        &mut self,
        shared: &Shared,
        (work, now): (Work, Instant),
        limits: BatchLimits,
        deliver: &mut Deliver<'_>,
    ) -> Option<Instant> {
        let Some(chosen) = work.target.choose(work.sticky) else {
            let reason = format!("no version of {} answers", work.target.served.name);
            self.refuse(work, &Error::Unavailable { reason });
            return None;
        };
        let known = self.batches.iter().position(|batch| batch.is_of(&chosen.0));
        let place = match known {
            Some(place) => place,
            None => {
                let Some(plan) = chosen.0.plan.get() else {
                    park(shared, work, &chosen.0);
                    return None;
                };
                shared.budget.used(&chosen.0);
                let buffers = self.spare.pop().unwrap_or_default();
                self.batches.push(Batch::new(work.target.served.clone(), chosen, plan, buffers));
                self.batches.len() - 1
            }
        };
        let batch = self.batches.get_mut(place)?;
        let read = batch.add((work, now), limits, &mut self.answers);
        if !batch.is_full(limits) {
            return Some(read);
        }
        let full = self.batches.swap_remove(place);
        self.run(full, limits, deliver);
        // Its memory is for the next one.
        self.put_away(shared);
        None
    }

    fn deliver(&mut self, deliver: &mut Deliver<'_>) {
        if !self.answers.is_empty() {
            deliver(&mut self.answers);
        }
    }

    fn record(&self, shared: &Shared, batch: &mut Batch) {
        let version = batch.version().clone();
        let mut records = batch.records().peekable();
        if records.peek().is_none() {
            return;
        }
        let recorder = self.records.upgrade();
        for record in records {
            let is_kept = recorder
                .as_ref()
                .is_some_and(|recorder| recorder.try_send((version.model.clone(), record)).is_ok());
            shared.metrics.predictions_dropped.inc_by(u64::from(!is_kept));
        }
    }
}

/// Keeps a request until the version that answers it is back in memory.
fn park(shared: &Shared, mut work: Work, version: &Arc<LoadedVersion>) {
    work.wanted = Some(version.clone());
    work.target.served.requeued(work.payload.len());
    if shared.queue.park(work) {
        shared.alarm.notify_one();
    }
    shared.budget.want(version);
}
