//! Refuses many requests for the same reason at once: under overload there are more refusals than answers, so the error is
//! written once for all.

use leat_contract::Encoding;
use leat_messaging::{Connection, Subject};

use crate::Error;
use crate::shared::Shared;
use crate::work::Work;

/// Answers requests that were not run with an error, and counts them.
pub(crate) async fn refuse_all(shared: &Shared, refused: Vec<Work>, error: &Error) {
    refuse_all_over(&shared.context.connections.reply, shared, refused, error).await;
}

/// The same over the connection of a thread that would otherwise wake another one.
pub(crate) async fn refuse_all_over(
    connection: &Connection,
    shared: &Shared,
    refused: Vec<Work>,
    error: &Error,
) {
    let detail = error.detail();
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let of_encoding: Vec<&Work> = refused.iter().filter(|work| work.encoding() == encoding).collect();
        let claimed = of_encoding.iter().filter(|work| work.waiting.take_claim());
        let replies: Vec<Subject> = claimed.map(|work| work.reply.clone()).collect();
        let lost = connection.publish_errors(replies, &detail, encoding).await;
        shared.metrics.replies_lost.inc_by(lost);
    }
    for (target, requests) in by_target(&refused) {
        target.target.count_refused(error.code(), requests);
    }
}

/// The first request of each run of requests that came by the same subscription, with how many there are.
fn by_target(refused: &[Work]) -> impl Iterator<Item = (&Work, usize)> {
    let runs = refused.chunk_by(|left, right| left.target.is_same(&right.target));
    runs.filter_map(|run| Some((run.first()?, run.len())))
}
