//! Reading a request's body within its limits of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use leat_contract::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// The memory that all bodies share is counted in steps of this size; small bodies are not counted.
const STEP_BYTES: usize = 64 * 1024;

/// A whole body. It holds its share of the memory for bodies until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _share: Vec<OwnedSemaphorePermit>,
}

/// What bodies may be.
#[derive(Debug)]
pub(crate) struct BodyLimits {
    bytes_max: usize,
    timeout: Duration,
    memory: Arc<Semaphore>,
}

impl BodyLimits {
    pub(crate) fn new(bytes_max: usize, all_bytes_max: usize, timeout: Duration) -> Self {
        Self { bytes_max, timeout, memory: Arc::new(Semaphore::new(all_bytes_max / STEP_BYTES)) }
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// When it is too large, too slow, broken off, or when other bodies fill the memory for bodies.
    pub(crate) async fn read<B>(&self, body: B) -> Result<Held, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        if body.is_end_stream() {
            return Ok(Held::default());
        }
        if body.size_hint().lower() > self.bytes_max as u64 {
            return Err(self.too_large());
        }
        let reading = tokio::time::timeout(self.timeout, self.collect(body)).await;
        reading.map_err(|_| Refusal::slow(format!("the body was not sent within {:?}", self.timeout)))?
    }

    /// The refusal that names the limit.
    pub(crate) fn too_large(&self) -> Refusal {
        Refusal::too_large(format!(
            "the body has more than {} bytes, the limit of this gateway (setting gateway.body_bytes_max)",
            self.bytes_max
        ))
    }

    async fn collect<B>(&self, mut body: B) -> Result<Held, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut whole = BytesMut::new();
        let mut share = Vec::new();
        let mut first: Option<Bytes> = None;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refusal::invalid(format!("the body was broken off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let so_far = whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len();
            if so_far > self.bytes_max {
                return Err(self.too_large());
            }
            while so_far > (share.len() + 1) * STEP_BYTES {
                share.push(self.memory.clone().try_acquire_owned().map_err(|_| full())?);
            }
            // Most bodies come in one piece and are not copied.
            match first.take() {
                None if whole.is_empty() => first = Some(data),
                None => whole.extend_from_slice(&data),
                Some(first) => {
                    whole.reserve(so_far.max(2 * first.len()));
                    whole.extend_from_slice(&first);
                    whole.extend_from_slice(&data);
                }
            }
        }
        let bytes = first.unwrap_or_else(|| whole.freeze());
        Ok(Held { bytes, _share: share })
    }
}

fn full() -> Refusal {
    let message = "other requests fill the memory for bodies (setting gateway.bodies_bytes_max)";
    Refusal::new(ErrorCode::Overloaded, message).retry_after(Duration::from_secs(1))
}

impl Held {
    /// The same share of memory with other bytes, for example decompressed ones.
    pub(crate) fn with(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn limits() -> BodyLimits {
        BodyLimits::new(200_000, 192 * 1024, Duration::from_millis(50))
    }

    fn pieces(count: usize) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin {
        let piece = || Ok(Frame::data(Bytes::from(vec![b'x'; 40_000])));
        StreamBody::new(stream::iter((0..count).map(move |_| piece())))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_whole() {
        assert_eq!(limits().read(pieces(4)).await.unwrap().bytes.len(), 160_000);
        assert_eq!(limits().read(Full::new(Bytes::from("ab"))).await.unwrap().bytes, "ab");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_with_the_limit_and_the_setting() {
        let refusal = limits().read(pieces(6)).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::TooLarge);
        assert!(refusal.message.contains("200000") && refusal.message.contains("body_bytes_max"));
    }

    #[tokio::test]
    async fn bodies_share_their_memory_and_give_it_back() {
        let limits = limits();
        let held = limits.read(pieces(4)).await.unwrap();
        assert_eq!(limits.read(pieces(4)).await.unwrap_err().code, ErrorCode::Overloaded);
        drop(held);
        assert!(limits.read(pieces(4)).await.is_ok());
    }

    #[tokio::test]
    async fn a_slow_sender_is_given_up() {
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        assert_eq!(limits().read(never).await.unwrap_err().status, http::StatusCode::REQUEST_TIMEOUT);
    }
}
