//! Requests and replies that no message can hold and that cannot be cut: their bodies go through the object store of the broker.
//!
//! The message of such a request names the object and says only what a worker must know while it waits. Whatever happens, objects are
//! removed when the call is over; what a gateway that dies leaves behind is removed by its age.

use std::time::Duration;

use bytes::Bytes;
use leat_contract::headers::{BODY_OBJECT, REPLY_OBJECT_BYTES_MAX};
use leat_contract::{Encoding, ErrorCode, InferReference, encode};
use leat_messaging::{Error as MessagingError, Objects};
use tokio::runtime::Handle;
use tracing::debug;

use crate::memory::{Memory, Share};
use crate::refusal::Refusal;
use crate::workers::{Call, LATE, Target, Workers};

/// How long a store that takes nothing at the moment is left alone.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// The store of bodies, and how large they may be.
#[derive(Debug, Clone)]
pub(crate) struct Payloads {
    objects: Objects,
    bytes_max: usize,
    memory: Memory,
}

/// A request that cannot be cut, or whose answer cannot.
#[derive(Debug)]
pub(crate) struct Large {
    /// The whole request, written.
    pub(crate) payload: Bytes,
    /// What the message says of it.
    pub(crate) reference: InferReference,
    /// How the request is written.
    pub(crate) encoding: Encoding,
}

/// An object that is removed when it is dropped.
#[derive(Debug)]
struct Stored {
    objects: Objects,
    name: String,
}

/// A body with its share of the memory for bodies.
struct Shared {
    bytes: Vec<u8>,
    _share: Share,
}

impl Payloads {
    /// Replies take their share of `memory`.
    pub(crate) fn new(objects: Objects, bytes_max: usize, memory: Memory) -> Self {
        Self { objects, bytes_max, memory }
    }

    fn named(&self, name: impl Into<String>) -> Stored {
        Stored { objects: self.objects.clone(), name: name.into() }
    }

    /// Stores a request. It is stored to its end also when nobody waits for it any more: what is half stored nobody could remove.
    async fn store(&self, payload: Bytes) -> Result<Stored, Refusal> {
        let own = self.clone();
        let storing = async move { own.objects.put_unique(payload).await.map(|name| own.named(name)) };
        let stored = tokio::spawn(storing).await;
        let stored =
            stored.map_err(|error| Refusal::internal(format!("a task ended unexpectedly: {error}")))?;
        stored.map_err(|error| match error {
            MessagingError::Storage { .. } => {
                let message = format!("the object store takes no body at the moment: {error}");
                Refusal::new(ErrorCode::Unavailable, message).retry_after(FULL_PAUSE)
            }
            error => error.into(),
        })
    }

    async fn read(&self, reply: &Stored) -> Result<Bytes, Refusal> {
        let gone =
            || Refusal::internal(format!("the reply is the object {}, which is not there", reply.name));
        let bytes = self.objects.size_when_stored(&reply.name).await?.ok_or_else(gone)?;
        let share = self.memory.share(usize::try_from(bytes).unwrap_or(usize::MAX).min(self.bytes_max))?;
        let bytes = self.objects.get_within(&reply.name, self.bytes_max as u64).await?;
        Ok(Bytes::from_owner(Shared { bytes, _share: share }))
    }

    /// Refuses what no object may hold either.
    pub(crate) fn refuse(&self, bytes: usize, message_bytes_max: usize) -> Refusal {
        Refusal::too_large(format!(
            "this request of {bytes} bytes, or its answer, cannot be cut by rows into parts that are small enough: one message of the broker \
             may have {message_bytes_max} bytes (setting max_payload of nats-server), an object {} (setting gateway.object_bytes_max)",
            self.bytes_max
        ))
    }
}

impl Workers {
    /// Asks for a prediction with whatever is too large for a message as an object: the request, the reply, or both.
    ///
    /// # Errors
    /// As [`Workers::infer`]; 413 naming the limit and its setting for what is too large for an object too.
    pub(crate) async fn infer_by_object(
        &self,
        target: &Target,
        large: Large,
        call: &Call,
    ) -> Result<Bytes, Refusal> {
        let (bytes, bytes_max) = (large.payload.len(), self.payloads.bytes_max);
        if bytes > bytes_max {
            return Err(self.payloads.refuse(bytes, self.payload_bytes_max()));
        }
        let asking = tokio::time::timeout(call.left()? + LATE, self.exchange(target, large, call));
        asking.await.map_err(|_| call.late())?
    }

    async fn exchange(&self, target: &Target, large: Large, call: &Call) -> Result<Bytes, Refusal> {
        let mut call = call.with(REPLY_OBJECT_BYTES_MAX, self.payloads.bytes_max.to_string());
        let (mut message, mut stored) = (large.payload, None);
        if message.len() > self.payload_bytes_max() {
            let request = self.payloads.store(message).await?;
            call.headers.insert(BODY_OBJECT, &request.name);
            message = encode(large.encoding, &within(large.reference, call.left()?))?.into();
            stored = Some(request);
        }
        let reply = self.reply(target, message, &call).await?;
        drop(stored);
        match reply.header(BODY_OBJECT) {
            None => Ok(reply.into_payload()),
            Some(name) => self.payloads.read(&self.payloads.named(name)).await,
        }
    }
}

/// The reference with what is left of its time: storing the body took some, and a worker counts from the message on.
fn within(reference: InferReference, left: Duration) -> InferReference {
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
    let deadline_ms = Some(reference.deadline_ms.map_or(left_ms, |deadline_ms| deadline_ms.min(left_ms)));
    InferReference { deadline_ms, ..reference }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let (objects, name) = (self.objects.clone(), std::mem::take(&mut self.name));
        // Without a runtime the process is about to end; the age of the object removes it.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = objects.delete(&name).await {
                debug!(%name, %error, "an object with a body stays until it is too old");
            }
        });
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
