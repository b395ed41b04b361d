//! Reading a request's body within its limits of size, time and memory.

mod inflating;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use crate::coding::Coding;
use crate::memory::{Memory, Share};
use crate::parts::{BLOCKING_BYTES_MIN, blocking};
use crate::refusal::Refusal;
use inflating::Inflating;

/// How long the answer to somebody whose body nobody reads may wait for its end.
const DISCARDING: Duration = Duration::from_secs(1);

/// A whole body. It holds its share of the memory for bodies until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    share: Share,
}

/// What bodies may be.
#[derive(Debug)]
pub(crate) struct BodyLimits {
    bytes_max: usize,
    timeout: Duration,
    memory: Memory,
}

impl BodyLimits {
    pub(crate) fn new(bytes_max: usize, all_bytes_max: usize, timeout: Duration) -> Self {
        Self { bytes_max, timeout, memory: Memory::new(all_bytes_max) }
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
            return Err(too_large(self.bytes_max));
        }
        let reading = tokio::time::timeout(self.timeout, self.collect(body)).await;
        reading.map_err(|_| {
            Refusal::slow(format!(
                "the body was not sent within {:?} (setting gateway.body_timeout_ms)",
                self.timeout
            ))
        })?
    }

    /// Takes in the rest of a body that nobody reads, for a moment at most: an answer before that ends the stream, and clients such as
    /// curl 7.88 then show an error instead of the answer.
    pub(crate) async fn discard<B>(&self, mut body: B)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let reading = async { while !body.is_end_stream() && matches!(body.frame().await, Some(Ok(_))) {} };
        // Who is slower is answered anyway.
        let _ = tokio::time::timeout(self.timeout.min(DISCARDING), reading).await;
    }

    /// What all bodies share.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// How long a client may take to send a body.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Takes a body out of its coding; its share becomes that of what comes out.
    ///
    /// # Errors
    /// When it is not coded so, becomes too large, or when other bodies fill the memory for bodies.
    pub(crate) async fn decode(&self, held: Held, coding: Coding) -> Result<Held, Refusal> {
        let mut inflating = Inflating::new(held, coding, self.memory.clone(), self.bytes_max);
        if inflating.advance(BLOCKING_BYTES_MIN)? {
            return Ok(inflating.into_held());
        }
        blocking(move || inflating.advance(usize::MAX).map(|_| inflating.into_held())).await?
    }

    async fn collect<B>(&self, mut body: B) -> Result<Held, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut whole = BytesMut::new();
        let mut share = Share::default();
        let mut first: Option<Bytes> = None;
        let expected =
            body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refusal::invalid(format!("the body was broken off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let so_far = whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len();
            if so_far > self.bytes_max {
                return Err(too_large(self.bytes_max));
            }
            self.memory.grow(&mut share, so_far)?;
            // Most bodies come in one piece and are not copied.
            match first.take() {
                None if whole.is_empty() => first = Some(data),
                None => whole.extend_from_slice(&data),
                Some(first) => {
                    whole.reserve(so_far.max(2 * first.len()).max(expected.min(8 * so_far)));
                    whole.extend_from_slice(&first);
                    whole.extend_from_slice(&data);
                }
            }
        }
        let bytes = first.unwrap_or_else(|| whole.freeze());
        Ok(Held { bytes, share })
    }
}

/// The refusal that names the limit.
fn too_large(bytes_max: usize) -> Refusal {
    Refusal::too_large(format!(
        "the body has more than {bytes_max} bytes, the limit of this gateway (setting gateway.body_bytes_max)"
    ))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use leat_contract::ErrorCode;

    use super::*;

    fn limits() -> BodyLimits {
        BodyLimits::new(200_000, 200 * 1024, Duration::from_millis(50))
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

    fn bomb(bytes: usize) -> Held {
        let bytes = Coding::Gzip.encode(&vec![b'x'; bytes]).unwrap();
        Held { bytes, share: Share::default() }
    }

    #[tokio::test]
    async fn a_decoded_body_takes_its_share_until_it_is_dropped() {
        let limits = limits();
        let held = limits.decode(bomb(150_000), Coding::Gzip).await.unwrap();
        assert_eq!(held.bytes.len(), 150_000);
        let refusal = limits.decode(bomb(60_000), Coding::Gzip).await.unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_seconds()), (ErrorCode::Overloaded, Some(1)));
        drop(held);
        assert!(limits.decode(bomb(60_000), Coding::Gzip).await.is_ok());
        assert_eq!(limits.decode(bomb(200_001), Coding::Gzip).await.unwrap_err().code, ErrorCode::TooLarge);
    }

    #[tokio::test]
    async fn what_becomes_large_is_decoded_beside_the_threads_of_connections() {
        let limits = BodyLimits::new(4 << 20, 4 << 20, Duration::from_millis(50));
        let held = limits.decode(bomb(3 << 20), Coding::Gzip).await.unwrap();
        assert_eq!(held.bytes.len(), 3 << 20);
        assert_eq!(limits.decode(bomb(2 << 20), Coding::Gzip).await.unwrap_err().code, ErrorCode::Overloaded);
    }

    #[tokio::test]
    async fn what_nobody_reads_is_taken_in_and_not_waited_for_long() {
        let mut body = pieces(9);
        limits().discard(&mut body).await;
        assert!(body.frame().await.is_none());
        limits().discard(StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>())).await;
    }

    #[tokio::test]
    async fn a_slow_sender_is_given_up() {
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        assert_eq!(limits().read(never).await.unwrap_err().status, http::StatusCode::REQUEST_TIMEOUT);
    }
}
