//! Tells callers that their time is over at that time, whatever the compute threads are busy with.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::compute::send;
use crate::queue::Swept;
use crate::refusal::refuse_all;
use crate::shared::Shared;
use crate::work::Work;

/// Sweeps the queue whenever the time of something in it is over, until told to stop.
///
/// # Errors
/// Never.
pub(crate) async fn watch(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), Error> {
    while !stop.is_cancelled() {
        let swept = shared.queue.sweep(Instant::now());
        let next = swept.next;
        answer(&shared, swept).await;
        tokio::select! {
            () = until(next) => {}
            () = shared.alarm.notified() => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next.into()).await,
        None => std::future::pending().await,
    }
}

async fn answer(shared: &Shared, swept: Swept<Work>) {
    let now = Instant::now();
    for work in swept.expired {
        work.leave_queue();
        let Some(error) = work.waiting.is_over(work.received, now) else { continue };
        refuse_all(shared, vec![work], &error).await;
    }
    for claim in swept.late {
        let (reply, content) = claim.late_answer();
        // The thread that works on it counts it, because nobody else can.
        if send(&shared.context.connections.reply, reply, content).await.is_err() {
            shared.metrics.replies_lost.inc();
        }
    }
}
