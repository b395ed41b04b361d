//! Receives the pieces of an object and checks what they make.

use std::time::Duration;

use super::Objects;
use super::record::{Hash, Hashing, Record, is_digest_name};
use crate::Error;
use crate::reader::{Read, Reader, Start};

/// How long the next piece may take: a restart of the broker passes within it.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(15);
/// Pieces asked for at once: 4 MiB.
const PORTION: usize = 32;
/// What the rests of a download that gives way come to, as long as none is shorter or longer than the next two say. Twice the broker may
/// have to read a whole file of pieces, 8 MiB, for the record and for the pieces, and others notice both: there is time between them and
/// between downloads.
const RESTS: Duration = Duration::from_secs(1);
/// At most 12.5 MiB come in a second.
const REST_MIN: Duration = Duration::from_millis(10);
/// Small objects need not take long.
const REST_MAX: Duration = Duration::from_millis(50);
/// Space is taken as pieces arrive; the record's size is believed only up to here.
const CAPACITY_BELIEVED: u64 = 64 << 20;

/// The bytes that a record describes. While `gives_way` says so, pieces come one by one with rests in between.
pub(super) async fn bytes(
    objects: &Objects,
    name: &str,
    record: &Record,
    gives_way: impl Fn() -> bool,
) -> Result<Vec<u8>, Error> {
    let (bytes, hash) = receive(objects, name, record, gives_way).await?;
    let damaged = |reason: String| Error::Damaged { name: name.to_owned(), reason };
    if bytes.len() as u64 != record.size {
        return Err(damaged(format!("{} bytes, its record says {}", bytes.len(), record.size)));
    }
    if hash.digest() != record.digest {
        return Err(damaged(format!("digest {}, its record says {}", hash.digest(), record.digest)));
    }
    if is_digest_name(name) && hash.name() != name {
        return Err(damaged(format!("its digest is {}", hash.name())));
    }
    Ok(bytes)
}

async fn receive(
    objects: &Objects,
    name: &str,
    record: &Record,
    gives_way: impl Fn() -> bool,
) -> Result<(Vec<u8>, Hash), Error> {
    let filter = objects.chunk_subject(&record.nuid);
    let mut reader = Reader::new(objects.jetstream.clone(), objects.stream(), filter, Start::First);
    let mut bytes = Vec::with_capacity(usize::try_from(record.size.min(CAPACITY_BELIEVED)).unwrap_or(0));
    let (mut hashing, mut received) = (Hashing::begin(), 0);
    while received < record.chunks {
        // Also before the broker makes the consumer.
        let is_giving_way = gives_way();
        reader.set_portion(if is_giving_way { 1 } else { PORTION });
        if is_giving_way {
            tokio::time::sleep(rest(record.chunks)).await;
        }
        let next = tokio::time::timeout(CHUNK_TIMEOUT, reader.next()).await;
        let read =
            next.map_err(|_| Error::Timeout { what: format!("object {name}"), after: CHUNK_TIMEOUT })?;
        match read {
            Read::Opened { pending } if received + pending < record.chunks => {
                let reason = format!("{} pieces, its record says {}", received + pending, record.chunks);
                return Err(Error::Damaged { name: name.to_owned(), reason });
            }
            Read::Opened { .. } => {}
            Read::Exhausted => {
                let reason = format!("{received} pieces, its record says {}", record.chunks);
                return Err(Error::Damaged { name: name.to_owned(), reason });
            }
            Read::Message(message) => {
                received += 1;
                if bytes.len() as u64 + message.payload().len() as u64 > record.size {
                    let reason = format!("more than the {} bytes its record says", record.size);
                    return Err(Error::Damaged { name: name.to_owned(), reason });
                }
                hashing.update(message.payload()).await;
                bytes.extend_from_slice(message.payload());
            }
        }
    }
    reader.restart().await;
    Ok((bytes, hashing.end()))
}

/// The rest before anything is asked for: what made somebody want the object is often work for the broker too.
pub(super) async fn let_others_go_first() {
    tokio::time::sleep(REST_MAX).await;
}

/// The rest before each of so many pieces.
fn rest(chunks: u64) -> Duration {
    let share = u32::try_from(chunks).unwrap_or(u32::MAX).max(1);
    (RESTS / share).clamp(REST_MIN, REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_come_to_a_second_unless_there_are_few_pieces_or_very_many() {
        let ms = Duration::from_millis;
        assert_eq!([0, 1, 20, 40, 100, 1000, u64::MAX].map(rest), [50, 50, 50, 25, 10, 10, 10].map(ms));
    }
}
