//! Many models on one worker: those that were used least recently give way when memory is over its budget, and come back when
//! somebody asks for them. Their requests wait in the queue meanwhile, as long as any request may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Error;
use crate::loaded::LoadedVersion;
use crate::loader::{self, Haste};
use crate::refusal::refuse_all;
use crate::shared::Shared;
use crate::work::Work;

/// Versions that may be on their way back at once; more than any worker has.
pub(crate) const COMING_MAX: usize = 4096;

/// What plans may take together, and who is to come back.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: Option<usize>,
    clock: AtomicU64,
    wanted: mpsc::Sender<Arc<LoadedVersion>>,
}

impl Budget {
    /// A budget, and where those arrive that are to come back.
    pub(crate) fn new(bytes_max: Option<usize>) -> (Self, mpsc::Receiver<Arc<LoadedVersion>>) {
        let (wanted, coming) = mpsc::channel(COMING_MAX);
        (Self { bytes_max, clock: AtomicU64::new(1), wanted }, coming)
    }

    /// Says that a version is used now.
    pub(crate) fn used(&self, version: &LoadedVersion) {
        version.plan.use_at(self.clock.fetch_add(1, Ordering::Relaxed));
    }

    /// Asks for a version that is not in memory.
    pub(crate) fn want(&self, version: &Arc<LoadedVersion>) {
        if !version.plan.set_coming(true) && self.wanted.try_send(version.clone()).is_err() {
            version.plan.set_coming(false);
        }
    }

    /// Whether a plan of so many bytes can be in memory at all.
    ///
    /// # Errors
    /// When it is larger than the budget.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), Error> {
        match self.bytes_max {
            Some(bytes_max) if bytes > bytes_max => Err(Error::OverBudget { bytes, bytes_max }),
            _ => Ok(()),
        }
    }

    /// Lets plans go until the rest is within the budget: those that were used least recently, never the one that just came.
    pub(crate) fn make_room(&self, mut versions: Vec<Arc<LoadedVersion>>, came: &LoadedVersion) {
        self.used(came);
        let Some(bytes_max) = self.bytes_max else { return };
        versions.retain(|version| version.plan.is_here());
        versions.sort_by_key(|version| version.plan.last_used());
        let mut bytes: usize = versions.iter().map(|version| version.plan.bytes).sum();
        for version in versions.iter().filter(|version| !std::ptr::eq(&***version, came)) {
            if bytes <= bytes_max {
                return;
            }
            version.plan.leave();
            bytes -= version.plan.bytes;
            info!(?version, bytes, bytes_max, "plan left memory: it was used least recently");
        }
    }
}

/// Brings versions back that were asked for, until told to stop.
///
/// # Errors
/// Never: requests to a version that cannot come back are refused.
pub(crate) async fn bring_back(
    shared: Arc<Shared>,
    mut coming: mpsc::Receiver<Arc<LoadedVersion>>,
    stop: CancellationToken,
) -> Result<(), Error> {
    while let Some(Some(version)) = stop.run_until_cancelled(coming.recv()).await {
        let outcome = if version.plan.is_here() { Ok(()) } else { reload(&shared, &version).await };
        version.plan.set_coming(false);
        let waiting = shared.queue.unpark(|work| work.wants(&version));
        match outcome {
            Ok(()) => go_on(&shared, waiting).await,
            Err(error) => {
                warn!(?version, %error, "a plan cannot come back to memory");
                waiting.iter().for_each(Work::leave_queue);
                let reason = format!("{} cannot be loaded: {error}", version.model.at(version.version));
                refuse_all(&shared, waiting, &Error::Unavailable { reason }).await;
            }
        }
    }
    Ok(())
}

async fn reload(shared: &Arc<Shared>, version: &Arc<LoadedVersion>) -> Result<(), Error> {
    let begun = std::time::Instant::now();
    let again =
        loader::build(shared, version.meant(), shared.settings.batch_rows_max, Haste::IsAwaited).await?;
    version.plan.return_as(&again.plan);
    shared.budget.make_room(shared.roster.all(), version);
    info!(?version, elapsed_ms = begun.elapsed().as_millis(), "plan is back in memory");
    Ok(())
}

/// Puts requests into the queue again, in which they have a place already.
async fn go_on(shared: &Shared, mut waiting: Vec<Work>) {
    let mut refused = Vec::new();
    if shared.queue.put(&mut waiting, &mut refused) {
        shared.alarm.notify_one();
    }
    if !refused.is_empty() {
        refused.iter().for_each(Work::leave_queue);
        let reason = "the queue of this worker is full".to_owned();
        refuse_all(shared, refused, &Error::Overloaded { reason, retry_after_ms: 1 }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::tiny_version;

    #[test]
    fn those_used_least_recently_give_way_and_never_the_one_that_came() {
        let versions: Vec<_> = (1..=4).map(|number| Arc::new(tiny_version(number))).collect();
        let bytes = versions[0].plan.bytes;
        let (budget, _coming) = Budget::new(Some(2 * bytes + bytes / 2));
        for place in [0, 1, 2, 0] {
            budget.used(&versions[place]);
        }
        budget.make_room(versions.clone(), &versions[3]);
        let here: Vec<bool> = versions.iter().map(|version| version.plan.is_here()).collect();
        assert_eq!(here, [true, false, false, true]);
        assert!(budget.check(2 * bytes).is_ok());
        assert!(budget.check(3 * bytes).unwrap_err().to_string().contains("budget"));
    }

    #[test]
    fn a_version_is_asked_for_once() {
        let (budget, mut coming) = Budget::new(None);
        let version = Arc::new(tiny_version(1));
        budget.want(&version);
        budget.want(&version);
        assert!(coming.try_recv().is_ok() && coming.try_recv().is_err());
        version.plan.set_coming(false);
        budget.want(&version);
        assert!(coming.try_recv().is_ok());
    }
}
