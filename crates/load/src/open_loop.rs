//! Requests that are sent at their own times, whatever becomes of those before them.
//!
//! The asynchronous runtime's timers have a resolution of a millisecond, in which an open loop would bunch its requests. So one
//! thread sleeps from one intended moment to the next, and hands each request to the runtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tally::{Moments, Tally, Window};
use crate::{Caller, Schedule};

/// A stop is noticed within this time.
const NAP_MAX: Duration = Duration::from_millis(50);

/// Requests that were not sent as they should have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Omissions {
    /// Sent later, because as many as may be were outstanding at the intended moment.
    pub(crate) delayed: u64,
    /// Never sent, because nobody was free before the end.
    pub(crate) unsent: u64,
}

/// Sends from one thread; each caller is free, or has one request outstanding.
pub(crate) struct Pacer {
    pub(crate) schedule: Schedule,
    pub(crate) start: Instant,
    pub(crate) requests: Arc<[Bytes]>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stop: CancellationToken,
}

/// Callers that wait for their next request.
struct Free {
    waiting: mpsc::Receiver<Caller>,
    returning: mpsc::Sender<Caller>,
}

impl Pacer {
    /// Sends until the end of the window or the stop, and waits for what is still outstanding then.
    pub(crate) async fn run(self, callers: Vec<Caller>) -> Omissions {
        let (returning, waiting) = mpsc::channel(callers.len().max(1));
        for caller in callers {
            // There is room for every caller.
            let _ = returning.try_send(caller);
        }
        let outstanding = TaskTracker::new();
        let (tasks, runtime) = (outstanding.clone(), Handle::current());
        let sending =
            tokio::task::spawn_blocking(move || self.send_all(Free { waiting, returning }, &tasks, &runtime));
        // It fails only when it panicked, and then nothing is known.
        let omissions = sending.await.unwrap_or_default();
        outstanding.close();
        outstanding.wait().await;
        omissions
    }

    fn send_all(self, mut free: Free, tasks: &TaskTracker, runtime: &Handle) -> Omissions {
        sleep_precisely();
        let Self { schedule, start, requests, tally, stop } = self;
        let window = tally.window();
        let mut omissions = Omissions::default();
        if stop.is_cancelled() {
            return omissions;
        }
        for (offset, request) in schedule.zip(requests.iter().cycle()) {
            let intended = start + offset;
            let is_stopped = !sleep_until(intended.min(window.end), &stop);
            let is_over = intended >= window.end || (is_stopped && intended > Instant::now());
            if is_over {
                break;
            }
            let counts = window.contains(intended);
            // What piled up while warming up must not stand before what counts.
            let is_left_behind = intended < window.begin && Instant::now() >= window.begin;
            if is_left_behind {
                continue;
            }
            let (caller, was_free) = free.take(window, &stop, runtime);
            let Some(mut caller) = caller else {
                if counts {
                    omissions.unsent += 1;
                    tally.never_sent(intended);
                }
                continue;
            };
            omissions.delayed += u64::from(counts && !was_free);
            let (request, tally, returning) = (request.clone(), tally.clone(), free.returning.clone());
            tasks.spawn_on(
                async move {
                    let sent = Instant::now();
                    let failure = caller.call(request).await.err();
                    tally.count(Moments { intended, sent, done: Instant::now() }, failure);
                    // When nobody takes it back the step is over.
                    let _ = returning.try_send(caller);
                },
                runtime,
            );
        }
        omissions
    }
}

impl Free {
    /// A caller, and whether it was free at once; none when the window ends before one is.
    fn take(&mut self, window: Window, stop: &CancellationToken, runtime: &Handle) -> (Option<Caller>, bool) {
        if stop.is_cancelled() {
            return (None, false);
        }
        // Also when this thread is late: what should have been sent before the end is sent when somebody is free.
        if let Ok(caller) = self.waiting.try_recv() {
            return (Some(caller), true);
        }
        if Instant::now() >= window.end {
            return (None, false);
        }
        let waiting = async {
            tokio::select! {
                caller = self.waiting.recv() => caller,
                () = stop.cancelled() => None,
                () = tokio::time::sleep_until(window.end.into()) => None,
            }
        };
        (runtime.block_on(waiting), false)
    }
}

/// Sleeps to the moment, if that is still to come; false when it was stopped.
fn sleep_until(moment: Instant, stop: &CancellationToken) -> bool {
    loop {
        if stop.is_cancelled() {
            return false;
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(NAP_MAX));
    }
}

/// Linux wakes a thread up to 50 µs late unless it asks for less.
fn sleep_precisely() {
    #[cfg(target_os = "linux")]
    {
        // Where it is refused requests go out a little later, which the send lag shows.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000));
    }
}
