use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::{self, Builder, JoinHandle};

use crate::divisible::{Activations, ActivationsMut, Divisible, Kept, Kind, Piece, Stage};
use crate::{Batch, Error, Plan, Scratch};

/// A share of a batch is worth handing to another thread when it takes at least this long: waking a thread and copying its rows takes some
/// microseconds.
const SHARE_MIN_NS: f64 = 100_000.0;

/// Threads that share the rows of large batches, or the outputs of large layers where there are few rows. A row's answer does not depend on
/// the rows beside it, and no output on the others, so that neither depends on how many threads there are.
///
/// A thread that helps has memory of its own, so that nobody who panics leaves it with rows that are gone. Like a [`Scratch`] they grow to
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

/// What a helper does, on its way there and back.
struct Share {
    /// None while it waits for work, so that a plan goes with its last owner.
    plan: Option<Arc<dyn Plan>>,
    work: Work,
    input: Kept,
    output: Kept,
    /// What the plan said, or how it panicked.
    outcome: thread::Result<Result<(), Error>>,
}

#[derive(Debug)]
enum Work {
    /// The last rows of a batch, so many.
    Rows(usize),
    /// The last outputs of a layer.
    Piece(Piece),
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
    /// As [`Plan::run`], and when a thread is gone that should have run rows.
    pub fn run(&self, plan: &Arc<dyn Plan>, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        if self.helpers.is_empty() {
            return plan.run(batch, scratch);
        }
        if let Some(divisible) = plan.divisible().filter(|divisible| divisible.divides(batch.rows)) {
            return divisible.run_divided(batch, scratch, &mut |stage| {
                let pieces = divisible.pieces_max(stage.piece.layer).clamp(1, self.helpers.len() + 1);
                let panels = stage.piece.panels.len().div_ceil(pieces);
                share_stage(&self.helpers, (plan, divisible), panels, stage);
            });
        }
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
    let Some(mut helper) = free(helper) else { return share(others, plan, rows, batch, scratch) };
    let start = batch.rows - rows;
    let (before, last) = batch.split_at(start);
    helper.begin(plan, &last);
    let ours = share(others, plan, rows, before, scratch);
    let theirs = helper.finish(last);
    // An error among the earlier rows comes first.
    ours.and(theirs.map_err(|error| error.in_block(start)))
}

/// Gives the last `panels` panels of a layer to the first helper that is free, and shares the others likewise. What is left is computed here.
fn share_stage(
    helpers: &[Mutex<Helper>],
    of: (&Arc<dyn Plan>, &dyn Divisible),
    panels: usize,
    mut stage: Stage<'_>,
) {
    let (plan, divisible) = of;
    let all = stage.piece.panels.clone();
    let Some((helper, others)) = helpers.split_first().filter(|_| all.len() > panels) else {
        return divisible.run_piece(&stage.piece, stage.input, stage.output, stage.workspace);
    };
    let Some(mut helper) = free(helper) else { return share_stage(others, of, panels, stage) };
    let start = all.end - panels;
    let last = Piece { panels: start..all.end, ..stage.piece.clone() };
    helper.begin_piece(plan, &last, &stage);
    share_stage(others, of, panels, stage.of_panels(all.start..start));
    if helper.finish_piece(&last, &mut stage.output).is_err() {
        // The thread is gone.
        divisible.run_piece(&last, stage.input, stage.output, stage.workspace);
    }
}

/// A helper that nobody keeps busy.
fn free(helper: &Mutex<Helper>) -> Option<MutexGuard<'_, Helper>> {
    match helper.try_lock() {
        Ok(helper) => Some(helper),
        // Who panicked in the meantime left a helper that finishes what it has.
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
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
        self.give(|share| share.fill(plan, batch));
    }

    /// Hands a copy of what goes into a layer to the thread.
    fn begin_piece(&mut self, plan: &Arc<dyn Plan>, piece: &Piece, stage: &Stage<'_>) {
        self.give(|share| share.fill_piece(plan, piece, stage));
    }

    fn give(&mut self, fill: impl FnOnce(&mut Share)) {
        // A caller that panicked did not wait for its rows.
        let share = self.share.take().or_else(|| self.done.recv().ok());
        if let (Some(mut share), Some(given)) = (share, &self.given) {
            fill(&mut share);
            // A thread that is gone is missed when its rows are.
            let _ = given.send(share);
        }
    }

    /// Waits for the rows and copies what came out.
    ///
    /// # Errors
    /// As the plan; a plan that panicked panics here.
    fn finish(&mut self, batch: Batch<'_>) -> Result<(), Error> {
        self.take_back(|share| batch.output.copy_from_slice(&share.output.values))
    }

    /// Waits for the outputs of a piece and copies them.
    ///
    /// # Errors
    /// When the thread is gone; a layer that panicked panics here.
    fn finish_piece(&mut self, piece: &Piece, output: &mut ActivationsMut<'_>) -> Result<(), Error> {
        self.take_back(|share| output.take_over(piece, &share.output))
    }

    fn take_back(&mut self, copy: impl FnOnce(&Share)) -> Result<(), Error> {
        let gone = |_| Error::Threads { reason: "one of them is gone".to_owned() };
        let mut share = self.done.recv().map_err(gone)?;
        let outcome = std::mem::replace(&mut share.outcome, Ok(Ok(())));
        copy(&share);
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
        self.work = Work::Rows(batch.rows);
        self.input.copy(Activations::Values(batch.input));
        self.output.make_room(Kind::Values, batch.output.len());
    }

    fn fill_piece(&mut self, plan: &Arc<dyn Plan>, piece: &Piece, stage: &Stage<'_>) {
        self.plan = Some(plan.clone());
        self.work = Work::Piece(piece.clone());
        self.input.copy(stage.input);
        self.output.make_room(stage.output.kind(), stage.output.len());
    }

    fn run(&mut self, scratch: &mut Scratch) {
        let Some(plan) = self.plan.take() else { return };
        let (input, output) = (self.input.rows(), self.output.place());
        let run = || match (&self.work, input, output) {
            (Work::Rows(rows), Activations::Values(input), ActivationsMut::Values(output)) => {
                plan.run(Batch { rows: *rows, input, output }, scratch)
            }
            (Work::Piece(piece), input, output) => {
                let divisible = plan.divisible();
                divisible
                    .map(|divisible| divisible.run_piece(piece, input, output, &mut scratch.code_workspace))
                    .ok_or_else(|| Error::Threads { reason: "the layer cannot be shared".to_owned() })
            }
            (Work::Rows(_), ..) => Err(Error::Threads { reason: "rows of a batch are no codes".to_owned() }),
        };
        // What a panic leaves half-written is thrown away: the outputs with the panic, the working memory here.
        self.outcome = catch_unwind(AssertUnwindSafe(run));
        if self.outcome.is_err() {
            *scratch = Scratch::default();
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self {
            plan: None,
            work: Work::Rows(0),
            input: Kept::default(),
            output: Kept::default(),
            outcome: Ok(Ok(())),
        }
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Share").field("work", &self.work).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
