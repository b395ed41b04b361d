//! Copies of live requests for a version that answers nobody: run after the replies were handed over, on a thread of the lowest
//! priority, and dropped as soon as the worker is busy.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use leat_contract::{Shadow, ShadowCounts};
use leat_engine::{Batch, Scratch, Team};
use leat_model::Task;

use crate::Error;
use crate::loaded::LoadedVersion;
use crate::reply::best;
use crate::yielding::yield_to_others;

/// Copies that may wait: a few batches, so that figures stay young.
const COPIES_MAX: usize = 256;
/// And their bytes: rows may be wide and requests large.
const COPIES_BYTES_MAX: usize = 32 << 20;

/// A version that gets copies, and how many.
#[derive(Debug)]
pub(crate) struct ShadowRoute {
    pub(crate) version: Arc<LoadedVersion>,
    ratio: f64,
    tolerance: f64,
    seen: AtomicU64,
}

/// The rows of one live request and what was answered.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) shadow: Arc<ShadowRoute>,
    pub(crate) live: Arc<LoadedVersion>,
    /// `[rows, features]`
    pub(crate) input: Vec<f32>,
    /// `[rows, outputs]`
    pub(crate) output: Vec<f32>,
}

impl Copy {
    fn bytes(&self) -> usize {
        (self.input.len() + self.output.len()) * size_of::<f32>()
    }
}

/// Where copies are handed in.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    sender: SyncSender<Copy>,
    /// Bytes of the copies that wait or are run.
    bytes: Arc<AtomicUsize>,
}

impl ShadowRoute {
    pub(crate) fn new(shadow: &Shadow, version: Arc<LoadedVersion>) -> Self {
        let Shadow { ratio, tolerance, .. } = *shadow;
        Self { version, ratio, tolerance, seen: AtomicU64::new(0) }
    }

    /// Whether the next live request is copied: evenly spread, so that any hundred requests give exactly their share.
    pub(crate) fn takes_next(&self) -> bool {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) as f64;
        ((seen + 1.0) * self.ratio).floor() > (seen * self.ratio).floor()
    }

    /// Counts copies that were not run.
    pub(crate) fn dropped(&self, copies: u64) {
        self.version.meter.counts().shadow.dropped += copies;
    }
}

impl Copies {
    /// Starts the thread, which ends when every handle is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn start() -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(COPIES_MAX);
        let failed =
            |error: std::io::Error| Error::Thread { name: "shadow".to_owned(), reason: error.to_string() };
        let bytes = Arc::<AtomicUsize>::default();
        let mut running = Running {
            team: Team::new(NonZeroUsize::MIN)?,
            scratch: Scratch::default(),
            bytes: bytes.clone(),
        };
        let named = std::thread::Builder::new().name("shadow".to_owned());
        named.spawn(move || running.run_all(&receiver)).map_err(failed)?;
        Ok(Self { sender, bytes })
    }

    /// Makes a copy of so many numbers and hands it in, or counts it as dropped when too much waits.
    pub(crate) fn add(&self, shadow: &ShadowRoute, numbers: usize, copy: impl FnOnce() -> Copy) {
        let bytes = numbers * size_of::<f32>();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before.saturating_add(bytes) <= COPIES_BYTES_MAX;
        if !has_room || self.sender.try_send(copy()).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            shadow.dropped(1);
        }
    }
}

struct Running {
    team: Team,
    scratch: Scratch,
    bytes: Arc<AtomicUsize>,
}

impl Running {
    fn run_all(&mut self, copies: &Receiver<Copy>) {
        yield_to_others(19);
        while let Ok(copy) = copies.recv() {
            let counts = self.run(&copy);
            copy.shadow.version.meter.counts().shadow.merge(&counts);
            self.bytes.fetch_sub(copy.bytes(), Ordering::Relaxed);
        }
    }

    fn run(&mut self, copy: &Copy) -> ShadowCounts {
        let version = &copy.shadow.version;
        let failed = ShadowCounts { mirrored: 1, failed: 1, ..ShadowCounts::default() };
        let (features, outputs) = (version.plan.features(), version.plan.outputs());
        let rows = copy.input.len().checked_div(features).unwrap_or(0);
        let fits = copy.input.len() == rows * features && copy.output.len() == rows * outputs;
        // A column that stands elsewhere, or goes by another name, would be another feature.
        let is_same_table = copy.live.signature.features == version.signature.features;
        if !fits || !is_same_table || copy.live.task != version.task {
            return failed;
        }
        let mut output = vec![0.0; rows * outputs];
        let batch = Batch { rows, input: &copy.input, output: &mut output };
        // One that gave way for lack of memory is not brought back for copies.
        let Some(plan) = version.plan.get() else { return failed };
        match version.run(&plan, batch, &self.team, &mut self.scratch) {
            Ok(()) => compare(copy, &output, outputs.max(1)),
            Err(_) => failed,
        }
    }
}

fn compare(copy: &Copy, output: &[f32], width: usize) -> ShadowCounts {
    let mut counts = ShadowCounts { mirrored: 1, ..ShadowCounts::default() };
    for (live, shadow) in copy.output.chunks_exact(width).zip(output.chunks_exact(width)) {
        let difference = live.iter().zip(shadow).map(|(one, other)| f64::from((one - other).abs()));
        let difference = difference.fold(0.0, f64::max);
        let is_same = match copy.live.task {
            Task::Classification => best(&copy.live, live).0 == best(&copy.shadow.version, shadow).0,
            Task::Regression => difference <= copy.shadow.tolerance,
        };
        counts.rows += 1;
        counts.disagreements += u64::from(!is_same);
        counts.difference_max = counts.difference_max.max(difference);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{loaded, tiny_classifier, tiny_version};

    fn route(version: LoadedVersion, ratio: f64) -> Arc<ShadowRoute> {
        let shadow = Shadow { ratio, ..Shadow::new(version.version, version.digest.clone()) };
        Arc::new(ShadowRoute::new(&shadow, Arc::new(version)))
    }

    fn running() -> Running {
        Running {
            team: Team::new(NonZeroUsize::MIN).unwrap(),
            scratch: Scratch::default(),
            bytes: Arc::default(),
        }
    }

    fn run(live: LoadedVersion, shadow: LoadedVersion, input: &[f32], output: &[f32]) -> ShadowCounts {
        let mut running = running();
        let (shadow, live) = (route(shadow, 1.0), Arc::new(live));
        running.run(&Copy { shadow, live, input: input.to_vec(), output: output.to_vec() })
    }

    #[test]
    fn any_hundred_requests_give_exactly_their_share_of_copies() {
        for (ratio, copies) in [(0.0, 0), (0.25, 25), (0.07, 7), (1.0, 100)] {
            let route = route(tiny_version(1), ratio);
            let taken = (0..100).filter(|_| route.takes_next()).count();
            assert_eq!(taken, copies);
        }
    }

    #[test]
    fn copies_of_large_requests_are_dropped_before_they_take_much_memory() {
        let (sender, receiver) = sync_channel(COPIES_MAX);
        let mut running = running();
        let copies = Copies { sender, bytes: running.bytes.clone() };
        let (shadow, live) = (route(tiny_version(2), 1.0), Arc::new(tiny_version(1)));
        let rows = COPIES_BYTES_MAX / size_of::<f32>() / 3 / 2 + 1;
        let (input, output) = (vec![1.0; 2 * rows], vec![3.0; rows]);
        let add = || {
            copies.add(&shadow, 3 * rows, || Copy {
                shadow: shadow.clone(),
                live: live.clone(),
                input: input.clone(),
                output: output.clone(),
            });
        };
        add();
        add();
        assert_eq!(receiver.try_iter().count(), 1, "the second is half of what may wait and a little more");
        assert_eq!(shadow.version.meter.counts().shadow.dropped, 1);
        copies.bytes.store(0, Ordering::Relaxed);
        add();
        drop(copies);
        running.run_all(&receiver);
        assert_eq!(running.bytes.load(Ordering::Relaxed), 0, "what was run takes nothing");
        assert_eq!(shadow.version.meter.counts().shadow.mirrored, 1);
    }

    #[test]
    fn values_that_differ_by_more_than_is_tolerated_disagree() {
        let counts = run(tiny_version(1), tiny_version(2), &[1.0, 2.0, 0.0, 0.0], &[5.0, 0.0]);
        let told = (counts.mirrored, counts.rows, counts.disagreements, counts.difference_max);
        assert_eq!(told, (1, 2, 1, 5.0));
    }

    #[test]
    fn classes_count_and_not_how_probable_they_are() {
        let class = || loaded(1, &tiny_classifier());
        let counts = run(class(), class(), &[0.0, 2.0, 2.0, 0.0], &[0.4, 0.6, 0.4, 0.6]);
        assert_eq!((counts.rows, counts.disagreements, counts.failed), (2, 1, 0));
    }

    #[test]
    fn a_shadow_that_cannot_answer_fails() {
        let counts = run(tiny_version(1), loaded(1, &tiny_classifier()), &[0.0, 2.0], &[0.4]);
        assert_eq!((counts.mirrored, counts.failed, counts.rows), (1, 1, 0));
        let counts = run(tiny_version(1), tiny_version(2), &[f32::INFINITY, 2.0], &[0.4]);
        assert_eq!((counts.mirrored, counts.failed), (1, 1));
    }
}
