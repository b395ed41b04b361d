//! Requests that one version answers in one go: read into one buffer, run, written.

mod reading;
mod repeated;
mod settled;

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::{CacheFigures, ErrorCode, PredictionRecord, RequestId};
use leat_engine::{Plan, Scratch, Team};
use leat_messaging::Subject;

use crate::Error;
use crate::loaded::LoadedVersion;
use crate::meter::Run;
use crate::reply::{self, Wanted};
use crate::reply_memory::ReplyMemory;
use crate::response_cache::ResponseCache;
use crate::served::{RouteTable, ServedModel};
use crate::shadow::{Copies, Copy};
use crate::waiting::Waiting;
use crate::work::{Answer, Content, Escort, LargeReply, Work};
use settled::Settled;

/// What one batch may be, and what one reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// Rows of one request. A batch takes no further request once it holds as many.
    pub(crate) rows_max: usize,
    /// Bytes of one reply.
    pub(crate) reply_bytes_max: usize,
}

/// Memory that is used again from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    input: Vec<f32>,
    output: Vec<f32>,
    members: Vec<Member>,
    refused: Vec<(ErrorCode, Instant)>,
    /// Rows of the live requests that were answered and are to be copied.
    copied: Vec<Range<usize>>,
    settled: Vec<Settled>,
    runs: Vec<Run>,
    records: Vec<PredictionRecord>,
}

/// What a thread runs batches with.
pub(crate) struct Means<'a> {
    /// Who shares large batches.
    pub(crate) team: &'a Team,
    pub(crate) scratch: &'a mut Scratch,
    /// What the thread ran last.
    pub(crate) last: &'a mut Weak<LoadedVersion>,
    pub(crate) replies: &'a mut ReplyMemory,
}

/// The requests that one version answers.
pub(crate) struct Batch {
    served: Arc<ServedModel>,
    version: Arc<LoadedVersion>,
    plan: Arc<dyn Plan>,
    routes: Arc<RouteTable>,
    begun: Instant,
    compute: Duration,
    /// When its answers were written.
    answered: Instant,
    /// How long running it and handing its answers over took.
    elapsed: Duration,
    /// Bytes of its requests that are run.
    bytes: usize,
    /// How long these took to be read.
    reading: Duration,
    /// How long their answers took to be written.
    writing: Duration,
    /// Of what use kept answers were.
    cache: CacheFigures,
    buffers: Buffers,
}

/// One request of a batch.
#[derive(Debug)]
struct Member {
    reply: Subject,
    received: Instant,
    deadline_ms: Option<u64>,
    wanted: Wanted,
    /// How large an object its caller takes as the reply; 0 for none.
    reply_object_bytes_max: usize,
    waiting: Waiting,
    /// Whether it came on the live route.
    is_live: bool,
    /// Its rows in the batch; none when the answer is known.
    rows: Range<usize>,
    /// The answer from before.
    known: Option<Arc<[f32]>>,
    escort: Escort,
}

impl Batch {
    /// A batch of what a model chose to answer with, a version and the routes it was chosen by.
    pub(crate) fn new(
        served: Arc<ServedModel>,
        (version, routes): (Arc<LoadedVersion>, Arc<RouteTable>),
        plan: Arc<dyn Plan>,
        buffers: Buffers,
    ) -> Self {
        let begun = Instant::now();
        Self {
            served,
            version,
            plan,
            routes,
            begun,
            compute: Duration::ZERO,
            answered: begun,
            elapsed: Duration::ZERO,
            reading: Duration::ZERO,
            writing: Duration::ZERO,
            cache: CacheFigures::default(),
            bytes: 0,
            buffers,
        }
    }

    pub(crate) fn is_of(&self, version: &Arc<LoadedVersion>) -> bool {
        Arc::ptr_eq(&self.version, version)
    }

    /// Whether it must be run before another request is added: what a batch may hold bounds the memory of a thread.
    pub(crate) fn is_full(&self, limits: BatchLimits) -> bool {
        self.rows() >= limits.rows_max
    }

    fn rows(&self) -> usize {
        self.buffers.input.len() / self.version.plan.features().max(1)
    }

    pub(crate) fn version(&self) -> &Arc<LoadedVersion> {
        &self.version
    }

    /// Reads a request into the batch from now on, or answers it at once when it cannot be run. Gives until when it was read.
    pub(crate) fn add(
        &mut self,
        (work, now): (Work, Instant),
        limits: BatchLimits,
        answers: &mut Vec<Answer>,
    ) -> Instant {
        match self.read(&work, limits) {
            Ok((wanted, deadline_ms, (rows, known))) => {
                let read = Instant::now();
                work.escort.note(wanted.id.as_ref(), self.version.version);
                // What is refused or known from before says nothing about how long the others take.
                if known.is_none() {
                    self.bytes += work.payload.len();
                    // What was before the batch counts as time in the queue.
                    self.reading += read.saturating_duration_since(now.max(self.begun));
                }
                let reply_object_bytes_max = work.reply_object_bytes_max();
                let Work { reply, received, escort, waiting, target, .. } = work;
                self.buffers.members.push(Member {
                    reply,
                    received,
                    deadline_ms,
                    wanted,
                    reply_object_bytes_max,
                    waiting,
                    is_live: target.pinned.is_none(),
                    rows,
                    known,
                    escort,
                });
                read
            }
            Err(error) => {
                self.buffers.refused.push((error.code(), work.received));
                answers.extend(work.refuse(&error));
                Instant::now()
            }
        }
    }

    /// Says how long running it and handing its answers over took.
    pub(crate) const fn took(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// Runs the model and writes the answers.
    pub(crate) fn run(
        &mut self,
        limits: BatchLimits,
        Means { team, scratch, last, replies }: Means<'_>,
        answers: &mut Vec<Answer>,
    ) {
        self.version.meter.began(self.buffers.members.len());
        // Answers that are known, and nothing but them, bring no weights near.
        let is_cold = self.rows() > 0 && !std::ptr::eq(last.as_ptr(), Arc::as_ptr(&self.version));
        if is_cold {
            *last = Arc::downgrade(&self.version);
        }
        let begun = Instant::now();
        let ran = self.run_rows((begun, is_cold), team, scratch);
        let mut members = std::mem::take(&mut self.buffers.members);
        let mut settled = std::mem::take(&mut self.buffers.settled);
        for member in members.drain(..) {
            let is_known = member.known.is_some();
            // Its caller has been told that it is too late.
            if !member.waiting.take_claim() {
                let (rows, code) = (member.rows.len(), Some(ErrorCode::DeadlineExceeded));
                settled.push(Settled { received: member.received, rows, is_known, code });
                continue;
            }
            // One request must not spoil the batch for others: when something failed, each is run for itself.
            let mut alone = Ok(());
            if ran.is_err() && !is_known {
                alone = self.run_alone(&member, team, scratch);
            }
            let written = alone
                .and_then(|()| check_deadline(member.deadline_ms, member.received))
                .and_then(|()| self.write(&member, limits, replies));
            let (rows, code) = (self.rows_of(&member), written.as_ref().err().map(Error::code));
            settled.push(Settled { received: member.received, rows, is_known, code });
            if written.is_ok() {
                self.keep(&member);
            }
            let is_copied = member.is_live && written.is_ok() && !is_known;
            if is_copied && self.routes.shadow.as_ref().is_some_and(|shadow| shadow.takes_next()) {
                self.buffers.copied.push(member.rows.clone());
            }
            let content = match written {
                Ok(bytes) if bytes.len() > limits.reply_bytes_max => {
                    let (encoding, claim) = (member.wanted.encoding, member.waiting.claim);
                    Content::Object(LargeReply { bytes, encoding, claim })
                }
                Ok(bytes) => Content::Result(bytes),
                Err(error) => Content::Refusal(error.detail(), member.wanted.encoding),
            };
            answers.push(Answer { reply: member.reply, content, _escort: member.escort });
        }
        self.buffers.members = members;
        self.buffers.settled = settled;
        self.answered = Instant::now();
        self.writing = (self.answered - begun).saturating_sub(self.compute);
    }

    /// What there is to record of it.
    pub(crate) fn records(&mut self) -> impl Iterator<Item = PredictionRecord> {
        self.buffers.records.drain(..)
    }

    /// Hands copies of its requests to the shadow, or drops them when the worker is busy.
    pub(crate) fn copy(&mut self, copies: &Copies, is_busy: bool) {
        let Some(shadow) = &self.routes.shadow else { return };
        if is_busy {
            shadow.dropped(self.buffers.copied.len() as u64);
            return;
        }
        let (features, outputs) = (self.version.plan.features(), self.version.plan.outputs());
        for Range { start, end } in self.buffers.copied.drain(..) {
            let part = |values: &[f32], width: usize| {
                values.get(start * width..end * width).unwrap_or_default().to_vec()
            };
            copies.add(shadow, (end - start) * (features + outputs), || Copy {
                shadow: shadow.clone(),
                live: self.version.clone(),
                input: part(&self.buffers.input, features),
                output: part(&self.buffers.output, outputs),
            });
        }
    }

    /// Runs everything from now on, at most so many rows at once as the deployment says. The first run may be cold.
    fn run_rows(
        &mut self,
        (mut now, mut is_cold): (Instant, bool),
        team: &Team,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let (features, outputs) = (self.version.plan.features(), self.version.plan.outputs());
        let place = self.rows() * outputs;
        if self.buffers.output.len() < place {
            self.buffers.output.resize(place, 0.0);
        }
        let step = usize::try_from(self.routes.batching.max_size).unwrap_or(usize::MAX).max(1);
        let inputs = self.buffers.input.chunks(step.saturating_mul(features).max(1));
        let places = self.buffers.output.chunks_mut(step.saturating_mul(outputs).max(1));
        for (input, place) in inputs.zip(places) {
            let rows = input.len() / features.max(1);
            let output = place.get_mut(..rows * outputs).unwrap_or_default();
            let batch = leat_engine::Batch { rows, input, output };
            let ran = self.version.run(&self.plan, batch, team, scratch);
            let took = now.elapsed();
            (self.compute, now) = (self.compute + took, now + took);
            ran?;
            self.buffers.runs.push(Run::new(rows, took, std::mem::take(&mut is_cold)));
        }
        Ok(())
    }

    fn run_alone(&mut self, member: &Member, team: &Team, scratch: &mut Scratch) -> Result<(), Error> {
        let (features, outputs) = (self.version.plan.features(), self.version.plan.outputs());
        let Range { start, end } = member.rows;
        let input = self.buffers.input.get(start * features..end * features).unwrap_or_default();
        let output = self.buffers.output.get_mut(start * outputs..end * outputs).unwrap_or_default();
        let batch = leat_engine::Batch { rows: member.rows.len(), input, output };
        let begun = Instant::now();
        let ran = self.version.run(&self.plan, batch, team, scratch);
        let took = begun.elapsed();
        self.compute += took;
        ran?;
        self.buffers.runs.push(Run::new(member.rows.len(), took, false));
        Ok(())
    }

    fn write(
        &mut self,
        member: &Member,
        limits: BatchLimits,
        replies: &mut ReplyMemory,
    ) -> Result<Bytes, Error> {
        let values = self.values_of(member);
        let bytes = reply::encode(&self.version, &member.wanted, values, replies)?;
        reply::check_size(bytes.len(), limits.reply_bytes_max, member.reply_object_bytes_max)?;
        let is_sampled = |id: &&RequestId| crate::record::is_sampled(id, self.routes.record_ratio);
        let record = member.wanted.id.as_ref().filter(is_sampled).map(|id| PredictionRecord {
            request_id: id.clone(),
            version: self.version.version,
            at: leat_service_runtime::unix_ms(),
            rows: reply::predicted(&self.version, values),
        });
        self.buffers.records.extend(record);
        Ok(bytes)
    }

    /// What came out for a request.
    fn values_of<'values>(&'values self, member: &'values Member) -> &'values [f32] {
        let outputs = self.version.plan.outputs();
        let in_batch = member.rows.start * outputs..member.rows.end * outputs;
        match &member.known {
            Some(known) => known,
            None => self.buffers.output.get(in_batch).unwrap_or_default(),
        }
    }

    fn rows_of(&self, member: &Member) -> usize {
        self.values_of(member).len() / self.version.plan.outputs().max(1)
    }

    /// Where answers of this version are kept. It has none when the routes in force put other models together with it: a pinned
    /// request may still be answered by the version of the routes before.
    fn cache(&self) -> Option<&ResponseCache> {
        self.routes.cache.as_deref().filter(|_| self.routes.pipeline == self.version.pipeline)
    }

    /// Keeps an answer for the next time.
    fn keep(&self, member: &Member) {
        let Some(cache) = self.cache().filter(|_| member.known.is_none()) else { return };
        let features = self.version.plan.features();
        let input = member.rows.start * features..member.rows.end * features;
        let input = self.buffers.input.get(input).unwrap_or_default();
        cache.insert(&self.version.digest, input, self.values_of(member));
    }

    /// Gives the memory back, empty.
    pub(crate) fn into_buffers(self) -> Buffers {
        let mut buffers = self.buffers;
        buffers.input.clear();
        buffers.members.clear();
        buffers.refused.clear();
        buffers.copied.clear();
        buffers.settled.clear();
        buffers.runs.clear();
        buffers.records.clear();
        buffers
    }
}

/// The time counts from receipt, because only the worker's own clock is known here.
fn check_deadline(deadline_ms: Option<u64>, received: Instant) -> Result<(), Error> {
    match deadline_ms {
        Some(deadline_ms) if received.elapsed() > Duration::from_millis(deadline_ms) => {
            Err(Error::Expired { deadline_ms })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
