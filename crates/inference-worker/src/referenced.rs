//! Requests whose message only names their body: from the message that was admitted to the whole request in the queue.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::task::TaskTracker;

use crate::Error;
use crate::admission::{self, Full};
use crate::payloads::Body;
use crate::refusal::refuse_all;
use crate::shared::Shared;
use crate::work::Work;

/// Starts to fetch the body of a request that has a place in the queue of its model; `fetching` knows when all are done.
pub(crate) fn start(shared: &Arc<Shared>, fetching: &TaskTracker, work: Work) {
    let bringing = bring(shared.clone(), work);
    shared.payloads.spawn("body of a request", fetching.track_future(bringing));
}

/// Fetches the body and lets the request go on like any other, or refuses it.
async fn bring(shared: Arc<Shared>, mut work: Work) {
    let fetched = fetch(&shared, &work).await;
    // The place was that of the message; the whole request needs another one.
    work.leave_queue();
    match fetched {
        Ok(Body { bytes, share: _share }) => {
            work.set_body(bytes);
            admit(&shared, work).await;
        }
        Err(error) => refuse_all(&shared, vec![work], &error).await,
    }
}

async fn fetch(shared: &Shared, work: &Work) -> Result<Body, Error> {
    let fetching = shared.payloads.fetch(work.body_object().unwrap_or_default());
    let Some(until) = work.waiting.caller_until(work.received) else { return fetching.await };
    let late = |_| {
        let reason = "the body of the request did not come in time".to_owned();
        let over = work.waiting.is_over(work.received, Instant::now());
        over.unwrap_or(Error::Unavailable { reason })
    };
    tokio::time::timeout_at(until.into(), fetching).await.map_err(late)?
}

async fn admit(shared: &Shared, work: Work) {
    let limits = work.target.served.routes().limits;
    let mut backlog = shared.queue.backlog();
    let (mut full, mut pushed_out) = (admission::judge(shared, &work, &limits, &mut backlog), Vec::new());
    if full == Some(Full::Model)
        && backlog.has_less_urgent(work.waiting.priority)
        && let Some(gone) = admission::make_way(shared, &work, &limits)
    {
        full = admission::judge(shared, &work, &limits, &mut backlog);
        pushed_out = gone;
    }
    let (refused, full) = match full {
        Some(full) => (vec![work], full),
        None => (put(shared, work), Full::Worker),
    };
    if !pushed_out.is_empty() {
        let error = admission::error(shared, Full::Model, &limits, &pushed_out);
        refuse_all(shared, pushed_out, &error).await;
    }
    if !refused.is_empty() {
        let error = admission::error(shared, full, &limits, &refused);
        refuse_all(shared, refused, &error).await;
    }
}

/// Puts a request into the queue and gives those for which there is no room now.
fn put(shared: &Shared, work: Work) -> Vec<Work> {
    let mut pushed_out = Vec::new();
    if shared.queue.put(&mut vec![work], &mut pushed_out) {
        shared.alarm.notify_one();
    }
    pushed_out.iter().for_each(Work::leave_queue);
    pushed_out
}
