//! The body of a call whose messages take their share of the memory for bodies while they come in.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;

use crate::memory::{Memory, Share};
use crate::refusal::Refusal;

/// Bytes in front of a message: whether it is compressed, and its length.
const PREFIX_BYTES: u8 = 5;

type BoxError = Box<dyn Error + Send + Sync>;

/// How many messages a body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Messages {
    /// Nothing is done with it before the body has ended: it is held until then, and its client may not pause.
    One,
    /// Each is worked on while the next one comes, whenever that is.
    Many,
}

/// A body that knows how much of it lies unread, which is what came last and the message that it continues.
#[derive(Debug)]
pub(super) struct Metered<B> {
    body: B,
    messages: Messages,
    framing: Framing,
    memory: Memory,
    share: Share,
    /// Bytes of the whole body so far.
    came: usize,
    /// How long a client may pause within a message.
    pause_max: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<B> Metered<B> {
    pub(super) fn new(body: B, messages: Messages, memory: &Memory, pause_max: Duration) -> Self {
        let (framing, share) = (Framing::default(), Share::default());
        Self { body, messages, framing, memory: memory.clone(), share, came: 0, pause_max, pause: None }
    }

    fn came(&mut self, data: &[u8]) -> Result<(), Refusal> {
        self.pause = None;
        let unread = match self.messages {
            Messages::One => self.came,
            Messages::Many => self.framing.begun,
        };
        self.memory.grow(&mut self.share, unread.saturating_add(data.len()))?;
        self.came = self.came.saturating_add(data.len());
        self.framing.pass(data);
        Ok(())
    }

    /// Ends a call whose client has begun a message, or its only one, and does not go on.
    fn paused(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.messages == Messages::Many && self.framing.begun == 0 {
            return Poll::Pending;
        }
        let pause_max = self.pause_max;
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause_max)));
        let message = "the rest of a message was not sent within";
        pause.as_mut().poll(context).map(|()| {
            refused(Refusal::slow(format!("{message} {pause_max:?} (setting gateway.body_timeout_ms)")))
        })
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        // Who asks for more has taken every whole message out; a share of its own stands for what that became.
        if this.messages == Messages::Many {
            this.share.shrink(this.framing.begun);
        }
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Pending => this.paused(context),
            Poll::Ready(Some(Ok(frame))) => {
                let counted = frame.data_ref().map_or(Ok(()), |data| this.came(data));
                Poll::Ready(counted.map_or_else(refused, |()| Some(Ok(frame))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn refused<T>(refusal: Refusal) -> Option<Result<T, BoxError>> {
    Some(Err(Status::from(refusal).into()))
}

/// Where one message ends and the next one begins.
#[derive(Debug, Default)]
struct Framing {
    /// Bytes of the message that has begun and not ended, its prefix included.
    begun: usize,
    prefix: u8,
    length: u32,
}

impl Framing {
    fn pass(&mut self, mut data: &[u8]) {
        while let Some((first, rest)) = data.split_first() {
            if self.prefix < PREFIX_BYTES {
                // The first of the five is shifted out again.
                self.length = (self.length << 8) | u32::from(*first);
                self.prefix += 1;
                self.begun += 1;
                data = rest;
            } else {
                let left = usize::try_from(self.length).unwrap_or(usize::MAX);
                let (passed, rest) = data.split_at(left.min(data.len()));
                self.begun += passed.len();
                self.length -= u32::try_from(passed.len()).unwrap_or(self.length);
                data = rest;
            }
            if self.prefix == PREFIX_BYTES && self.length == 0 {
                *self = Self::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use leat_contract::ErrorCode;
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    fn message(bytes: usize) -> Vec<u8> {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        [&[1][..], &length, &vec![7; bytes]].concat()
    }

    fn metered(
        frames: Vec<Vec<u8>>,
        memory: &Memory,
    ) -> Metered<impl Body<Data = Bytes, Error = BoxError> + Unpin> {
        let frames = stream::iter(frames).map(|frame| Ok(Frame::data(frame.into())));
        let body = StreamBody::new(frames.chain(stream::pending()));
        Metered::new(body, Messages::Many, memory, Duration::from_secs(30))
    }

    #[tokio::test]
    async fn a_message_has_its_share_until_it_was_taken_out() {
        let memory = Memory::new(100 * 1024);
        let whole = message(60_000);
        let (start, rest) = whole.split_at(20_000);
        let mut body = metered(vec![start.to_vec(), rest.to_vec(), message(1)], &memory);
        let is_free = |bytes| memory.share(bytes).map_err(|refusal| refusal.code);
        body.frame().await.unwrap().unwrap();
        assert!(is_free(70_000).is_ok());
        body.frame().await.unwrap().unwrap();
        assert_eq!(is_free(70_000).unwrap_err(), ErrorCode::Overloaded);
        body.frame().await.unwrap().unwrap();
        assert!(is_free(90_000).is_ok());
    }

    #[tokio::test]
    async fn a_message_for_which_there_is_no_room_ends_its_call() {
        let memory = Memory::new(100 * 1024);
        let _others = memory.share(60_000).unwrap();
        let mut body = metered(vec![message(60_000)], &memory);
        let status = body.frame().await.unwrap().unwrap_err();
        assert_eq!(status.downcast_ref::<Status>().unwrap().code(), Code::ResourceExhausted);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_within_a_message_is_given_up_and_who_stops_behind_one_is_not() {
        let memory = Memory::new(100 * 1024);
        let mut body = metered(vec![message(10)[..8].to_vec()], &memory);
        body.frame().await.unwrap().unwrap();
        let status = body.frame().await.unwrap().unwrap_err();
        assert_eq!(status.downcast_ref::<Status>().unwrap().code(), Code::DeadlineExceeded);
        let mut body = metered(vec![message(10)], &memory);
        body.frame().await.unwrap().unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(3600), body.frame()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_message_of_a_call_is_held_to_its_end_which_comes_soon() {
        let memory = Memory::new(100 * 1024);
        let mut body = metered(vec![message(60_000)], &memory);
        body.messages = Messages::One;
        body.frame().await.unwrap().unwrap();
        {
            let mut end = std::pin::pin!(body.frame());
            assert!(futures_util::poll!(&mut end).is_pending());
            assert!(memory.share(70_000).is_err());
            let status = end.await.unwrap().unwrap_err();
            assert_eq!(status.downcast_ref::<Status>().unwrap().code(), Code::DeadlineExceeded);
        }
        drop(body);
        assert!(memory.share(100_000).is_ok());
    }

    proptest! {
        #[test]
        fn frames_may_be_cut_anywhere(
            sizes in proptest::collection::vec(0_usize..40, 0..8),
            piece in 1_usize..50,
            begun in 0_usize..10,
        ) {
            let mut bytes: Vec<u8> = sizes.iter().flat_map(|size| message(*size)).collect();
            bytes.extend(&message(100)[..begun]);
            let mut framing = Framing::default();
            bytes.chunks(piece).for_each(|piece| framing.pass(piece));
            prop_assert_eq!(framing.begun, begun);
        }
    }
}
