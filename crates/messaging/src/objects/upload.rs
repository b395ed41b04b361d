//! Sends the pieces of an object, several at once, in order.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::Objects;
use crate::jitter::jittered;
use crate::{Error, Headers};

/// The piece size of the NATS clients; smaller where the broker takes less at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// Room for the frame of a message below the broker's limit.
const FRAME_BYTES: usize = 1024;
/// Pieces that are under way at once: 4 MiB.
const WINDOW: usize = 32;
const CHUNK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after its first failure an upload is begun anew.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Sends the pieces of `bytes`; gives the token under which they stand.
pub(super) async fn chunks(objects: &Objects, bytes: &[u8]) -> Result<String, Error> {
    let mut deadline = None;
    loop {
        let nuid = nuid::next().to_string();
        let error = match send(objects, &objects.chunk_subject(&nuid), bytes).await {
            Ok(()) => return Ok(nuid),
            Err(error) => error,
        };
        objects.discard(&nuid).await;
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        if !error.is_retryable() || Instant::now() >= deadline {
            return Err(error);
        }
        tokio::time::sleep(jittered(PAUSE)).await;
    }
}

/// How many pieces `size` bytes make.
pub(super) fn chunk_count(objects: &Objects, size: usize) -> u64 {
    size.div_ceil(chunk_bytes(objects)) as u64
}

fn chunk_bytes(objects: &Objects) -> usize {
    let room = objects.jetstream.connection.payload_bytes_max().saturating_sub(FRAME_BYTES);
    CHUNK_BYTES.min(room).max(1)
}

/// One attempt. A piece is not repeated, so that the pieces stand in the order in which they were sent.
async fn send(objects: &Objects, subject: &str, bytes: &[u8]) -> Result<(), Error> {
    let subject = Subject::from(subject);
    let publish = |chunk: &[u8]| {
        let chunk = Bytes::copy_from_slice(chunk);
        objects.jetstream.publish_once(subject.clone(), Headers::new(), chunk, CHUNK_TIMEOUT)
    };
    let sequences: Vec<u64> = futures_util::stream::iter(bytes.chunks(chunk_bytes(objects)).map(publish))
        .buffered(WINDOW)
        .map_ok(|stored| stored.sequence)
        .try_collect()
        .await?;
    if sequences.is_sorted() {
        return Ok(());
    }
    Err(Error::Timeout { what: "pieces of an object in their order".to_owned(), after: CHUNK_TIMEOUT })
}
