//! Messages that arrive, one after the other or as many as are there.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::task::unconstrained;

use crate::{Connection, Message};

/// The messages of one subject. Dropping it unsubscribes; [`Subscription::drain`] does so without losing any.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) subscriber: Option<async_nats::Subscriber>,
    pub(crate) connection: Connection,
}

impl Subscription {
    pub(crate) fn new(subscriber: async_nats::Subscriber, connection: Connection) -> Self {
        Self { subscriber: Some(subscriber), connection }
    }

    /// The next message; nothing when the subscription or the connection was drained and all was delivered.
    ///
    /// A lost connection does not end it: the client subscribes again. Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|context| self.poll_message(context)).await
    }

    /// Waits for a message, then takes everything that is there without waiting, up to `max` messages.
    ///
    /// Gives how many were added to `batch`; zero means what nothing means in [`Subscription::next`].
    /// Dropping the future loses no message.
    pub async fn next_batch(&mut self, batch: &mut Vec<Message>, max: usize) -> usize {
        // The runtime would let a task have 128 messages at a time, and nobody could tell how many are there.
        unconstrained(std::future::poll_fn(|context| self.poll_batch(context, batch, max))).await
    }

    /// What is there already, without waiting.
    pub fn try_next(&mut self) -> Option<Message> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match self.poll_message(&mut context) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    fn poll_batch(&mut self, context: &mut Context<'_>, batch: &mut Vec<Message>, max: usize) -> Poll<usize> {
        let mut taken = 0;
        while taken < max.max(1) {
            match self.poll_message(context) {
                Poll::Ready(Some(message)) => batch.push(message),
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
            taken += 1;
        }
        Poll::Ready(taken)
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        match &mut self.subscriber {
            Some(subscriber) => Pin::new(subscriber).poll_next(context).map(|message| message.map(Message)),
            None => Poll::Ready(None),
        }
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_message(context)
    }
}
