//! One connection to the broker: publish, request, subscribe.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State as ClientState;
use async_nats::message::OutboundMessage;
use async_nats::{StatusCode, Subject};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use leat_contract::{Encoding, ErrorBody, ErrorDetail};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::own_thread::OwnThread;
use crate::reply::{error_headers, judge};
use crate::requests::Requests;
use crate::state::StateTracker;
use crate::{Error, Headers, Message, Reply, State, Subscription, trace};

/// How long a call may wait for room in the connection's queue before it fails.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to the broker. Cloning shares it; it closes when the last clone is dropped.
///
/// Every call fails at once with [`Error::Disconnected`] while the connection is lost, and none waits without a bound.
#[derive(Debug, Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) client: async_nats::Client,
    pub(crate) tracker: Arc<StateTracker>,
    pub(crate) thread: Option<OwnThread>,
    requests: Arc<Requests>,
    dispatcher: AbortHandle,
}

impl Inner {
    pub(crate) async fn new(
        client: async_nats::Client,
        tracker: Arc<StateTracker>,
        requests: Arc<Requests>,
        thread: Option<OwnThread>,
    ) -> Result<Arc<Self>, Error> {
        let subscribed = client.subscribe(requests.wildcard()).await;
        let mut inbox = subscribed.map_err(|_| Error::Closed)?;
        let receiving = requests.clone();
        let dispatch = async move {
            while let Some(message) = inbox.next().await {
                receiving.deliver(Message(message));
            }
        };
        let dispatcher = match &thread {
            Some(thread) => thread.spawn(dispatch),
            None => tokio::spawn(dispatch).abort_handle(),
        };
        Ok(Arc::new(Self { client, tracker, thread, requests, dispatcher }))
    }

    /// A server that shuts down in order asks its clients to move while another one is known.
    pub(crate) async fn leave_lame_duck(&self) {
        let others = self.client.server_pool().await.map_or(0, |pool| pool.len());
        if others > 1 {
            tracing::info!("the broker is shutting down, moving to another one");
            // It fails only when the connection is closed, and then there is nothing to move.
            let _ = self.client.force_reconnect().await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.dispatcher.abort();
        self.tracker.close();
    }
}

impl Connection {
    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Sends a message; it is on its way when this returns, nothing more.
    pub async fn publish(&self, subject: impl Into<Subject>, payload: impl Into<Bytes>) -> Result<(), Error> {
        self.send(OutboundMessage {
            subject: subject.into(),
            payload: payload.into(),
            reply: None,
            headers: None,
        })
        .await
    }

    /// Sends a message with headers.
    pub async fn publish_with(
        &self,
        subject: impl Into<Subject>,
        headers: Headers,
        payload: impl Into<Bytes>,
    ) -> Result<(), Error> {
        let (subject, payload) = (subject.into(), payload.into());
        self.send(OutboundMessage { subject, payload, reply: None, headers: headers.into_map() }).await
    }

    /// Sends a message whose answers go to `reply`.
    pub(crate) async fn publish_from(
        &self,
        subject: impl Into<Subject>,
        reply: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), Error> {
        let (subject, payload, reply) = (subject.into(), payload.into(), Some(Subject::from(reply)));
        self.send(OutboundMessage { subject, payload, reply, headers: None }).await
    }

    /// Sends an error as the reply to a request, with the headers of ADR-32 and a body in the caller's encoding.
    pub async fn publish_error(
        &self,
        reply: impl Into<Subject>,
        detail: &ErrorDetail,
        encoding: Encoding,
    ) -> Result<(), Error> {
        let body = ErrorBody { error: detail.clone() };
        let payload = leat_contract::encode(encoding, &body)
            .map_err(|error| Error::Invalid { what: "error body", reason: error.to_string() })?;
        self.publish_with(reply, error_headers(detail), payload).await
    }

    /// Sends the same error as the reply to many requests; it is written once. Gives how many could not be sent.
    pub async fn publish_errors(
        &self,
        replies: Vec<Subject>,
        detail: &ErrorDetail,
        encoding: Encoding,
    ) -> u64 {
        if replies.is_empty() {
            return 0;
        }
        let body = ErrorBody { error: detail.clone() };
        let Ok(payload) = leat_contract::encode(encoding, &body).map(Bytes::from) else {
            return replies.len() as u64;
        };
        let (headers, mut lost) = (error_headers(detail), 0);
        for reply in replies {
            lost += u64::from(self.publish_with(reply, headers.clone(), payload.clone()).await.is_err());
        }
        lost
    }

    /// Asks and waits for one reply; the whole call takes `timeout` at most.
    ///
    /// Fails with [`Error::NoResponders`] when nobody is subscribed, with [`Error::Service`] when the reply is an error,
    /// and with [`Error::Disconnected`] when the connection is lost before the reply comes.
    pub async fn request(
        &self,
        subject: impl Into<Subject>,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Reply, Error> {
        self.request_with(subject, Headers::new(), payload, timeout).await
    }

    /// Asks with headers, to which the trace of the current span is added when there is one; otherwise as
    /// [`Connection::request`].
    pub async fn request_with(
        &self,
        subject: impl Into<Subject>,
        mut headers: Headers,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Reply, Error> {
        trace::inject(&mut headers);
        judge(self.exchange(subject.into(), headers, payload.into(), timeout).await?)
    }

    /// Sends a message and gives the one that comes back, whatever it says.
    pub(crate) async fn exchange(
        &self,
        subject: Subject,
        headers: Headers,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Message, Error> {
        let (reply, pending) = self.inner.requests.expect()?;
        let outbound = OutboundMessage {
            subject: subject.clone(),
            payload,
            reply: Some(reply),
            headers: headers.into_map(),
        };
        let call = async {
            self.send(outbound).await?;
            pending.reply().await.ok_or(Error::Disconnected)
        };
        let message = tokio::time::timeout(timeout, call)
            .await
            .map_err(|_| Error::Timeout { what: format!("request on {subject}"), after: timeout })??;
        if message.status() == Some(StatusCode::NO_RESPONDERS) {
            return Err(Error::NoResponders { subject: subject.into_string() });
        }
        Ok(message)
    }

    /// Goes to the server and back: everything said before on this connection has arrived there.
    pub async fn round_trip(&self, timeout: Duration) -> Result<Duration, Error> {
        let started = Instant::now();
        let (subject, pending) = self.inner.requests.expect()?;
        let outbound = OutboundMessage { subject, payload: Bytes::new(), reply: None, headers: None };
        let call = async {
            self.send(outbound).await?;
            pending.reply().await.ok_or(Error::Disconnected)
        };
        let arrived = tokio::time::timeout(timeout, call).await;
        arrived
            .map_err(|_| Error::Timeout { what: "round trip to the broker".to_owned(), after: timeout })??;
        Ok(started.elapsed())
    }

    /// Receives every message on a subject, which may contain wildcards.
    pub async fn subscribe(&self, subject: impl Into<Subject>) -> Result<Subscription, Error> {
        self.ready()?;
        let subject = subject.into();
        let subscribed = bounded(self.inner.client.subscribe(subject.clone())).await?;
        let subscriber = subscribed.map_err(|error| invalid_subject(&subject, error))?;
        Ok(Subscription::new(subscriber, self.clone()))
    }

    /// Receives the share of a group member of the messages on a subject.
    pub async fn queue_subscribe(
        &self,
        subject: impl Into<Subject>,
        queue_group: &str,
    ) -> Result<Subscription, Error> {
        self.ready()?;
        let subject = subject.into();
        let subscribed =
            bounded(self.inner.client.queue_subscribe(subject.clone(), queue_group.to_owned())).await?;
        let subscriber = subscribed.map_err(|error| invalid_subject(&subject, error))?;
        Ok(Subscription::new(subscriber, self.clone()))
    }

    /// Waits until everything published so far was handed to the operating system.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        self.ready()?;
        let flushed = tokio::time::timeout(timeout, self.inner.client.flush()).await;
        let flushed = flushed.map_err(|_| Error::Timeout { what: "flush".to_owned(), after: timeout })?;
        flushed.map_err(|_| Error::Disconnected)
    }

    /// Where to start tasks that live from this connection: on its thread, where its messages and theirs wake no other thread, and which
    /// they must not keep busy for long; without such a thread, where this is called.
    ///
    /// # Panics
    /// Without a thread of its own, outside of a runtime.
    pub fn runtime(&self) -> tokio::runtime::Handle {
        match &self.inner.thread {
            Some(thread) => thread.runtime(),
            None => tokio::runtime::Handle::current(),
        }
    }

    /// Sends and receives nothing for so long, so that what comes meanwhile is received together, which costs less than waking for each
    /// message. Only a task on the connection's own thread can ask for that; elsewhere it does nothing.
    pub fn rest(&self, time: Duration) {
        if self.inner.thread.as_ref().is_some_and(OwnThread::is_current) {
            std::thread::sleep(time);
        }
    }

    /// The state, to look at or to wait for.
    pub fn state(&self) -> watch::Receiver<State> {
        self.inner.tracker.state()
    }

    /// Whether calls go through right now.
    pub fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == ClientState::Connected
    }

    /// How often the connection was restored.
    pub fn reconnects(&self) -> u64 {
        self.connects().borrow().saturating_sub(1)
    }

    /// How many messages were dropped because a subscription was not read fast enough.
    pub fn lost_messages(&self) -> u64 {
        self.inner.tracker.lost_messages()
    }

    /// The largest message the broker takes, headers included.
    pub fn payload_bytes_max(&self) -> usize {
        self.inner.client.max_payload()
    }

    /// The version of the server.
    pub fn server_version(&self) -> String {
        self.inner.client.server_info().version
    }

    pub(crate) fn connects(&self) -> watch::Receiver<u64> {
        self.inner.tracker.connects()
    }

    /// Fails while disconnected: the client library would queue the call, block when its queue is full, and send
    /// what nobody waits for any more once it is connected again.
    pub(crate) fn ready(&self) -> Result<(), Error> {
        match self.inner.client.connection_state() {
            ClientState::Connected if self.inner.tracker.is_closed() => Err(Error::Closed),
            ClientState::Connected => Ok(()),
            _ => Err(Error::Disconnected),
        }
    }

    async fn send(&self, message: OutboundMessage) -> Result<(), Error> {
        use async_nats::client::traits::Publisher;
        self.ready()?;
        let bytes = message.payload.len();
        let sending = std::pin::pin!(self.inner.client.publish_message(message));
        let outcome = bounded(sending).await?;
        outcome.map_err(|error| match error.kind() {
            async_nats::PublishErrorKind::MaxPayloadExceeded => {
                Error::TooLarge { bytes, limit: self.payload_bytes_max() }
            }
            // The message went with the call; to keep its subject, for this alone, would take memory for each.
            async_nats::PublishErrorKind::InvalidSubject => {
                Error::Invalid { what: "subject", reason: error.to_string() }
            }
            async_nats::PublishErrorKind::Send => Error::Closed,
        })
    }
}

/// Most calls into the client library are done at once; only one that has to wait gets a timer.
async fn bounded<F: Future>(call: F) -> Result<F::Output, Error> {
    let mut call = std::pin::pin!(call);
    if let Some(done) = call.as_mut().now_or_never() {
        return Ok(done);
    }
    tokio::time::timeout(SEND_TIMEOUT, call).await.map_err(|_| Error::Timeout {
        what: "room in the connection's queue".to_owned(),
        after: SEND_TIMEOUT,
    })
}

fn invalid_subject(subject: &Subject, error: impl std::fmt::Display) -> Error {
    Error::Invalid { what: "subject", reason: format!("{:?}: {error}", subject.as_str()) }
}
