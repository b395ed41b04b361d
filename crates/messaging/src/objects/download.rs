//! Receives the pieces of an object and checks what they make.
//!
//! Each piece is asked for by itself, several at once. Only the place of the first one has to be searched: whoever asks for the first
//! piece at or behind each of several places in a row is given every piece there is at those places. Most objects are stored in one go,
//! so that each answer is another piece; where two uploads went on at the same time, some answers are the same piece again.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::record::{Hash, Record, is_digest_name};
use super::{ABSENCE_PAUSE, ABSENCES_DOUBTED, Objects};
use crate::jetstream::sequence_of;
use crate::jitter::jittered;
use crate::{Error, Message};

/// How long pieces may take that are asked for at once: a restart of the broker passes within it.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(15);
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Pieces asked for at once, at most: 4 MiB.
const PORTION_MAX: u64 = 32;
/// Portions grow as long as one of them takes less than this, and shrink when it takes more.
const PORTION_TIME: Duration = Duration::from_millis(250);
/// The rest after each piece of a download that gives way, some ten times as long as a piece keeps the broker busy.
const REST: Duration = Duration::from_millis(2);
/// Space is taken as pieces arrive; the record's size is believed only up to here.
const CAPACITY_BELIEVED: u64 = 64 << 20;

/// The bytes that a record describes. While `gives_way` says so, pieces come one by one with rests in between.
pub(super) async fn bytes(
    objects: &Objects,
    name: &str,
    record: &Record,
    gives_way: impl Fn() -> bool,
) -> Result<Vec<u8>, Error> {
    let download = Download { objects, name, record, subject: objects.chunk_subject(&record.nuid) };
    let bytes = download.receive(gives_way).await?;
    if bytes.len() as u64 != record.size {
        return Err(download.damaged(format!("{} bytes, its record says {}", bytes.len(), record.size)));
    }
    let (bytes, hash) = Hash::beside(bytes).await?;
    if hash.digest() != record.digest {
        return Err(download.damaged(format!("digest {}, its record says {}", hash.digest(), record.digest)));
    }
    if is_digest_name(name) && hash.name() != name {
        return Err(download.damaged(format!("its digest is {}", hash.name())));
    }
    Ok(bytes)
}

struct Download<'a> {
    objects: &'a Objects,
    name: &'a str,
    record: &'a Record,
    /// Where the pieces are.
    subject: String,
}

impl Download<'_> {
    async fn receive(&self, gives_way: impl Fn() -> bool) -> Result<Vec<u8>, Error> {
        let Record { size, chunks, .. } = *self.record;
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(CAPACITY_BELIEVED)).unwrap_or(0));
        // The first piece is asked for alone, since nothing is known of where it is.
        let (mut received, mut behind, mut portion) = (0, 0, 1);
        while received < chunks {
            let begun = Instant::now();
            for piece in self.pieces(behind, portion.min(chunks - received), received).await? {
                let sequence = sequence_of(&piece)?;
                if sequence <= behind {
                    continue;
                }
                (received, behind) = (received + 1, sequence);
                if bytes.len() as u64 + piece.payload().len() as u64 > size {
                    return Err(self.damaged(format!("more than the {size} bytes its record says")));
                }
                bytes.extend_from_slice(piece.payload());
            }
            let is_quick = begun.elapsed() < PORTION_TIME;
            portion = if is_quick { portion * 2 } else { portion / 2 }.clamp(1, PORTION_MAX);
            if received < chunks && gives_way() {
                portion = 1;
                tokio::time::sleep(REST).await;
            }
        }
        Ok(bytes)
    }

    /// The first piece behind a place, the first one behind the next place, and so on.
    async fn pieces(&self, behind: u64, count: u64, received: u64) -> Result<Vec<Message>, Error> {
        let (jetstream, stream) = (&self.objects.jetstream, self.objects.stream());
        let (deadline, mut absences) = (Instant::now() + CHUNK_TIMEOUT, 0);
        loop {
            let places = behind + 1..=behind + count;
            let pieces = places.map(|place| jetstream.first_from(&stream, &self.subject, place));
            let pause = match try_join_all(pieces).await {
                Ok(pieces) if pieces.iter().all(Option::is_some) => {
                    return Ok(pieces.into_iter().flatten().collect());
                }
                // Another server of a cluster may know of them a little later than the one that had the record.
                Ok(_) if absences < ABSENCES_DOUBTED => {
                    absences += 1;
                    ABSENCE_PAUSE
                }
                Ok(pieces) => {
                    let there = received + pieces.iter().flatten().count() as u64;
                    return Err(
                        self.damaged(format!("{there} pieces, its record says {}", self.record.chunks))
                    );
                }
                Err(error) if error.is_retryable() && Instant::now() < deadline => RETRY_PAUSE,
                Err(error) => return Err(error),
            };
            tokio::time::sleep(jittered(pause)).await;
        }
    }

    fn damaged(&self, reason: String) -> Error {
        Error::Damaged { name: self.name.to_owned(), reason }
    }
}
