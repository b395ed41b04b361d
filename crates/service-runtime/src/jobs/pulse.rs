//! The link between a computation on its thread and the task that looks after it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use leat_contract::JobProgress;
use tokio::sync::watch;

/// Why a computation should end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody asked for the end of the job.
    Cancelled,
    /// The instance stops; the state is saved for another one.
    HandedOver,
    /// Nobody waits for the outcome any more.
    Lost,
}

/// A sign of life, and whether it is still wanted. A cheap handle on one heart.
#[derive(Clone, Debug)]
pub(super) struct Heart {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// Milliseconds from the beginning to the last sign of life.
    last_beat_ms: AtomicU64,
    /// The first reason to stop is the one that counts.
    stop: OnceLock<Stop>,
}

impl Heart {
    pub(super) fn new() -> Self {
        let shared = Shared { began: Instant::now(), last_beat_ms: AtomicU64::new(0), stop: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn beat(&self) {
        let elapsed = u64::try_from(self.shared.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.shared.last_beat_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Time since the last sign of life.
    fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.shared.last_beat_ms.load(Ordering::Relaxed));
        self.shared.began.elapsed().saturating_sub(last)
    }

    /// Waits until there was no sign of life for longer than `stall`.
    pub(super) async fn falls_silent(&self, stall: Duration) {
        while let Some(rest) = stall.checked_sub(self.silence()) {
            tokio::time::sleep(rest).await;
        }
    }

    pub(super) fn ask(&self, stop: Stop) {
        // Asked again, the first reason stays.
        let _ = self.shared.stop.set(stop);
    }

    pub(super) fn stop(&self) -> Option<Stop> {
        self.shared.stop.get().copied()
    }
}

/// What a computation tells on its way and learns from it.
#[derive(Debug)]
pub struct Pulse {
    heart: Heart,
    progress: watch::Sender<Option<JobProgress>>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    checkpoint_every: Duration,
    last_checkpoint: Instant,
}

/// A state from which a computation can go on.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Units that were done.
    pub(super) position: u64,
    pub(super) bytes: Vec<u8>,
}

impl Pulse {
    /// Says that the computation goes on. Breaks when it should end with [`super::Failure::Stopped`].
    pub fn beat(&self) -> ControlFlow<()> {
        self.heart.beat();
        match self.heart.stop() {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }

    /// Says how far the computation is; otherwise as [`Pulse::beat`]. Only the latest progress is told further.
    pub fn progress(&self, progress: JobProgress) -> ControlFlow<()> {
        self.progress.send_replace(Some(progress));
        self.beat()
    }

    /// Whether it is time for [`Pulse::checkpoint`]: the last one is old enough, or another instance is to go on.
    pub fn checkpoint_is_due(&self) -> bool {
        let is_handed_over = self.heart.stop() == Some(Stop::HandedOver);
        is_handed_over || self.last_checkpoint.elapsed() >= self.checkpoint_every
    }

    /// Hands in a state from which the computation can go on after `position` units. Storing it is not waited for; a
    /// newer state replaces one that still waits.
    pub fn checkpoint(&mut self, position: u64, bytes: Vec<u8>) {
        self.last_checkpoint = Instant::now();
        self.snapshots.send_replace(Some(Arc::new(Snapshot { position, bytes })));
    }
}

/// The other end of a [`Pulse`]. Dropping it tells the computation to end.
#[derive(Debug)]
pub(super) struct Watcher {
    heart: Heart,
    progress: watch::Receiver<Option<JobProgress>>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
}

/// Both ends, on one heart.
pub(super) fn pair(heart: &Heart, checkpoint_every: Duration) -> (Pulse, Watcher) {
    let (progress, progress_seen) = watch::channel(None);
    let (snapshots, snapshots_seen) = watch::channel(None);
    heart.beat();
    let last_checkpoint = Instant::now();
    let pulse = Pulse { heart: heart.clone(), progress, snapshots, checkpoint_every, last_checkpoint };
    (pulse, Watcher { heart: heart.clone(), progress: progress_seen, snapshots: snapshots_seen })
}

impl Watcher {
    /// The progress since the last call, if there was any.
    pub(super) fn new_progress(&mut self) -> Option<JobProgress> {
        let is_new = self.progress.has_changed().unwrap_or(true);
        let latest = self.progress.borrow_and_update().clone();
        latest.filter(|_| is_new)
    }

    /// Waits for the next state to be saved; for ever when none will come.
    pub(super) async fn snapshot(&mut self) -> Arc<Snapshot> {
        loop {
            if self.snapshots.changed().await.is_err() {
                return std::future::pending().await;
            }
            if let Some(snapshot) = self.latest_snapshot() {
                return snapshot;
            }
        }
    }

    /// The newest state, saved or not.
    pub(super) fn latest_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.snapshots.borrow_and_update().clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.heart.ask(Stop::Lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64) -> JobProgress {
        JobProgress { done, total: 3, unit: "epoch".to_owned(), metrics: Default::default() }
    }

    #[test]
    fn a_computation_learns_that_it_should_end_and_the_first_reason_stays() {
        let heart = Heart::new();
        let (pulse, watcher) = pair(&heart, Duration::from_secs(60));
        assert!(pulse.progress(progress(1)).is_continue());
        heart.ask(Stop::Cancelled);
        heart.ask(Stop::Lost);
        assert!(pulse.beat().is_break());
        assert_eq!(heart.stop(), Some(Stop::Cancelled));
        drop(watcher);
    }

    #[test]
    fn a_computation_that_nobody_watches_ends() {
        let heart = Heart::new();
        let (pulse, watcher) = pair(&heart, Duration::from_secs(60));
        drop(watcher);
        assert!(pulse.beat().is_break());
    }

    #[test]
    fn only_new_progress_is_told() {
        let heart = Heart::new();
        let (pulse, mut watcher) = pair(&heart, Duration::from_secs(60));
        assert_eq!(watcher.new_progress(), None);
        let _ = pulse.progress(progress(1));
        let _ = pulse.progress(progress(2));
        assert_eq!(watcher.new_progress(), Some(progress(2)));
        assert_eq!(watcher.new_progress(), None);
    }

    #[tokio::test]
    async fn a_checkpoint_is_due_after_its_time_and_at_once_for_a_successor() {
        let heart = Heart::new();
        let (mut pulse, mut watcher) = pair(&heart, Duration::from_secs(3_600));
        assert!(!pulse.checkpoint_is_due());
        heart.ask(Stop::HandedOver);
        assert!(pulse.checkpoint_is_due());
        pulse.checkpoint(7, vec![1]);
        assert_eq!(watcher.snapshot().await.position, 7);
    }
}
