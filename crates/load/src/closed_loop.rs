//! Requesters that each wait for an answer before they ask again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Caller;
use crate::tally::{Moments, Tally};

/// How long a requester rests when its request could not even be sent.
const REST: Duration = Duration::from_millis(10);

/// Asks until the end of the window or the stop, and waits for what is still outstanding then.
pub(crate) async fn run(
    callers: Vec<Caller>,
    requests: &Arc<[Bytes]>,
    tally: &Arc<Tally>,
    stop: &CancellationToken,
) {
    let mut requesters = JoinSet::new();
    for (place, caller) in callers.into_iter().enumerate() {
        let (requests, tally, stop) = (requests.clone(), tally.clone(), stop.clone());
        requesters.spawn(ask(caller, place, requests, tally, stop));
    }
    while requesters.join_next().await.is_some() {}
}

async fn ask(
    mut caller: Caller,
    place: usize,
    requests: Arc<[Bytes]>,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let end = tally.window().end;
    for request in requests.iter().cycle().skip(place % requests.len()) {
        let sent = Instant::now();
        if sent >= end || stop.is_cancelled() {
            return;
        }
        let failure = caller.call(request.clone()).await.err();
        let is_immediate = failure.as_ref().is_some_and(|failure| failure.is_immediate());
        tally.count(Moments { intended: sent, sent, done: Instant::now() }, failure);
        if is_immediate {
            tokio::time::sleep(REST).await;
        }
    }
}
