use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, Builder, JoinHandle};

use crate::{Batch, Error, Plan, Scratch};

/// A share of a batch is worth handing to another thread when it takes at least this long: waking a thread and copying its rows takes some
/// microseconds.
const SHARE_MIN_NS: f64 = 100_000.0;

/// Threads that share the rows of large batches. A row's answer does not depend on the rows beside it, so it does not depend on how
/// many threads there are either.
///
/// A thread that helps has rows of its own, so that nobody who panics leaves it with rows that are gone. Like a [`Scratch`] they grow to
/// what the largest batch needs and are then reused: in steady state a run allocates nothing.
#[derive(Debug)]
pub struct Team {
    /// All but the caller.
    helpers: Vec<Mutex<Helper>>,
}

/// A thread that runs what it is given. It is locked from then on until its rows are back.
#[derive(Debug)]
struct Helper {
    /// None when the team is over.
    given: Option<SyncSender<Share>>,
    done: Receiver<Share>,
    /// None while the thread has it.
    share: Option<Share>,
    /// None when the team is over.
    thread: Option<JoinHandle<()>>,
}

/// The last rows of a batch, on their way to a helper and back.
struct Share {
    /// None while it waits for rows, so that a plan goes with its last owner.
    plan: Option<Arc<dyn Plan>>,
    rows: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    /// What the plan said, or how it panicked.
    outcome: thread::Result<Result<(), Error>>,
}

impl Team {
    /// A team of so many threads, the caller of [`Team::run`] among them.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        let helpers = (1..threads.get()).map(|index| Helper::start(index).map(Mutex::new));
        Ok(Self { helpers: helpers.collect::<Result<_, _>>()? })
    }

    /// Runs a batch, in shares when it is large enough. The answers are those of [`Plan::run`], bit for bit; so is the error. Helpers that
    /// another caller keeps busy are not waited for.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run(&self, plan: &Arc<dyn Plan>, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let worthwhile = (plan.row_ns() * batch.rows as f64 / SHARE_MIN_NS) as usize;
        let shares = worthwhile.min(self.helpers.len() + 1).min(batch.rows);
        if shares < 2 {
            return plan.run(batch, scratch);
        }
        batch.check(plan.features(), plan.outputs())?;
        let rows = batch.rows.div_ceil(shares);
        share(&self.helpers, plan, rows, batch, scratch)
    }
}

/// Gives the last `rows` rows of a batch to the first helper that is free, and shares the others likewise. The rows that are left are run
/// here.
fn share(
    helpers: &[Mutex<Helper>],
    plan: &Arc<dyn Plan>,
    rows: usize,
    batch: Batch<'_>,
    scratch: &mut Scratch,
) -> Result<(), Error> {
    let Some((helper, others)) = helpers.split_first() else { return plan.run(batch, scratch) };
    if batch.rows <= rows {
        return plan.run(batch, scratch);
    }
    let mut helper = match helper.try_lock() {
        Ok(helper) => helper,
        // Who panicked in the meantime left a helper that finishes what it has.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return share(others, plan, rows, batch, scratch),
    };
    let start = batch.rows - rows;
    let (before, last) = batch.split_at(start);
    helper.begin(plan, &last);
    let ours = share(others, plan, rows, before, scratch);
    let theirs = helper.finish(last);
    // An error among the earlier rows comes first.
    ours.and(theirs.map_err(|error| error.in_block(start)))
}

impl Helper {
    fn start(index: usize) -> Result<Self, Error> {
        let (given, shares) = sync_channel(1);
        let (ran, done) = sync_channel(1);
        let named = Builder::new().name(format!("batch {index}"));
        let thread = named.spawn(move || help(&shares, &ran));
        let thread = thread.map_err(|error| Error::Threads { reason: error.to_string() })?;
        Ok(Self { given: Some(given), done, share: Some(Share::default()), thread: Some(thread) })
    }

    /// Hands a copy of the rows to the thread.
    fn begin(&mut self, plan: &Arc<dyn Plan>, batch: &Batch<'_>) {
        // A caller that panicked did not wait for its rows.
        let share = self.share.take().or_else(|| self.done.recv().ok());
        if let (Some(mut share), Some(given)) = (share, &self.given) {
            share.fill(plan, batch);
            // A thread that is gone is missed when its rows are.
            let _ = given.send(share);
        }
    }

    /// Waits for the rows and copies what came out.
    ///
    /// # Errors
    /// As the plan; a plan that panicked panics here.
    fn finish(&mut self, batch: Batch<'_>) -> Result<(), Error> {
        let gone = |_| Error::Threads { reason: "one of them is gone".to_owned() };
        let mut share = self.done.recv().map_err(gone)?;
        let outcome = std::mem::replace(&mut share.outcome, Ok(Ok(())));
        batch.output.copy_from_slice(&share.output);
        self.share = Some(share);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.given = None;
        if let Some(thread) = self.thread.take() {
            // Panics were caught and handed over.
            let _ = thread.join();
        }
    }
}

/// Runs shares until the team is over.
fn help(shares: &Receiver<Share>, ran: &SyncSender<Share>) {
    let mut scratch = Scratch::default();
    while let Ok(mut share) = shares.recv() {
        share.run(&mut scratch);
        if ran.send(share).is_err() {
            return;
        }
    }
}

impl Share {
    fn fill(&mut self, plan: &Arc<dyn Plan>, batch: &Batch<'_>) {
        self.plan = Some(plan.clone());
        self.rows = batch.rows;
        self.input.clear();
        self.input.extend_from_slice(batch.input);
        self.output.resize(batch.output.len(), 0.0);
    }

    fn run(&mut self, scratch: &mut Scratch) {
        let Some(plan) = self.plan.take() else { return };
        let batch = Batch { rows: self.rows, input: &self.input, output: &mut self.output };
        // What a panic leaves half-written is thrown away: the outputs with the panic, the working memory here.
        self.outcome = catch_unwind(AssertUnwindSafe(|| plan.run(batch, scratch)));
        if self.outcome.is_err() {
            *scratch = Scratch::default();
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self { plan: None, rows: 0, input: Vec::new(), output: Vec::new(), outcome: Ok(Ok(())) }
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Share").field("rows", &self.rows).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
