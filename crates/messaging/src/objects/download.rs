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
/// The rest of a download that gives way before anything is asked for, and before each piece: at most 12.5 MiB come in a second. Rests
/// of 50 ms were no better for others.
const REST: Duration = Duration::from_millis(10);
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
        let is_giving_way = gives_way();
        reader.set_portion(if is_giving_way { 1 } else { PORTION });
        if is_giving_way {
            let_others_go_first().await;
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

/// What made somebody want the object is often work for the broker too, and so is each piece.
pub(super) async fn let_others_go_first() {
    tokio::time::sleep(REST).await;
}
