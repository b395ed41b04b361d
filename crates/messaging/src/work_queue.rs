//! Work that is done at least once, by one worker at a time, and never silently lost.

mod backlog;
mod delivery;
mod letter;

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use leat_contract::headers::MESSAGE_ID;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

pub use backlog::{Backlog, Look, Waiting};
pub use delivery::Delivery;

use crate::jetstream::{ConsumerInfo, JetStream, nanoseconds};
use crate::publish::PUBLISH_PATIENCE;
use crate::{Error, Headers, Message, Stored, StoredMessage, Subscription, trace};

/// How long a worker may be silent before its work is given to another.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(15);
/// How often a worker that is busy says so: three times within [`ACK_WAIT`].
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How often work is tried before it is a dead letter.
pub(crate) const ATTEMPTS_MAX: u64 = 3;

/// How long one pull waits at the server; after a restart of the broker nothing waits longer for nothing.
const PULL_EXPIRES: Duration = Duration::from_secs(2);
const PULL_GRACE: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long it takes at most to find out why nobody answers a pull.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(1);

/// What ends a pull: nothing there, time over, nobody answers, a change at the server.
const NOT_FOUND: u16 = 404;
const REQUEST_TIMEOUT: u16 = 408;
const NO_RESPONDERS: u16 = 503;
const CONFLICT: u16 = 409;
const CONSUMER_DELETED: &str = "Consumer Deleted";

/// The part of a work-queue stream that has one filter, shared by all workers that name the same consumer.
#[derive(Debug)]
pub struct WorkQueue {
    jetstream: JetStream,
    identity: QueueIdentity,
    inbox: Option<Inbox>,
    connects: watch::Receiver<u64>,
}

/// Which work it is and where it goes when it is given up.
#[derive(Debug, Clone)]
pub(crate) struct QueueIdentity {
    pub(crate) stream: String,
    pub(crate) consumer: String,
    pub(crate) filter: String,
    pub(crate) dead_letter_subject: String,
    /// When the server removes its consumer after nobody takes from it any more; what waits stays in the stream. None for never.
    pub(crate) forgotten_after: Option<Duration>,
}

/// Where pulled work arrives, and the pull that is under way.
#[derive(Debug)]
struct Inbox {
    subscription: Subscription,
    prefix: String,
    pulls: u64,
    /// When the pull under way counts as lost; nothing when none is under way.
    overdue: Option<Instant>,
}

impl WorkQueue {
    pub(crate) fn new(jetstream: JetStream, identity: QueueIdentity) -> Self {
        let connects = jetstream.connection.connects();
        Self { jetstream, identity, inbox: None, connects }
    }

    /// Submits work; when this returns, it will be done at least once or end as a dead letter.
    ///
    /// The id makes it safe to submit again: a second one with the same id within two minutes is dropped.
    /// Waits up to five seconds for a broker that is away.
    pub async fn submit(
        &self,
        subject: impl Into<Subject>,
        message_id: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Stored, Error> {
        let mut headers = Headers::new().with(MESSAGE_ID, message_id);
        trace::inject(&mut headers);
        self.jetstream.publish(subject, headers, payload, PUBLISH_PATIENCE).await
    }

    /// Takes one piece of work; nothing when there was none within `timeout`.
    ///
    /// Exactly one is asked for, so none waits behind another in this process. Work that was taken too often without an
    /// end becomes a dead letter here and is not given. Dropping the future loses nothing: what arrives is given by
    /// the next call. Call [`WorkQueue::close`] when no call will follow.
    pub async fn take(&mut self, timeout: Duration) -> Result<Option<Delivery>, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let Some(message) = self.receive(deadline).await? else { return Ok(None) };
            let delivery = Delivery::new(self.jetstream.clone(), self.identity.clone(), message);
            if delivery.attempt() <= ATTEMPTS_MAX {
                return Ok(Some(delivery));
            }
            let reason = format!("its worker ended {ATTEMPTS_MAX} times without finishing it");
            delivery.dead_letter(&reason).await?;
        }
    }

    /// As [`WorkQueue::take`], but gives also work that was taken too often: for callers that count attempts themselves
    /// and have more to do than to make a dead letter.
    pub async fn take_any(&mut self, timeout: Duration) -> Result<Option<Delivery>, Error> {
        let message = self.receive(Instant::now() + timeout).await?;
        Ok(message.map(|message| Delivery::new(self.jetstream.clone(), self.identity.clone(), message)))
    }

    /// Gives back what may still arrive. Takes as long as the last pull waits at the server, two seconds at most.
    pub async fn close(mut self) {
        while self.inbox.as_ref().is_some_and(|inbox| inbox.overdue.is_some()) {
            let Ok(Some(message)) = self.receive_pulled().await else { break };
            let delivery = Delivery::new(self.jetstream.clone(), self.identity.clone(), message);
            // Nobody began it. When this fails the work is given to another worker after the ack wait.
            let _ = delivery.hand_over().await;
        }
    }

    /// How much work waits and how much is being done.
    pub async fn depth(&self) -> Result<QueueDepth, Error> {
        let info = self.info().await?;
        Ok(QueueDepth { waiting: info.num_pending, in_work: info.num_ack_pending })
    }

    /// Makes the consumer that all workers of this queue share, unless it is there.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.provision().await
    }

    /// Makes the consumer that all workers of this queue share, or checks the one that is there.
    pub(crate) async fn provision(&self) -> Result<(), Error> {
        let info = self.jetstream.create_consumer(&self.identity.stream, self.identity.creation()).await?;
        self.compare(&info)
    }

    /// Checks the consumer that all workers of this queue share.
    pub(crate) async fn verify(&self) -> Result<(), Error> {
        self.compare(&self.info().await?)
    }

    fn compare(&self, info: &ConsumerInfo) -> Result<(), Error> {
        let required = self.identity.config();
        let differences: Vec<String> = required
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(field, value)| info.config.get(*field) != Some(value))
            .map(|(field, value)| format!("{field} is {:?}, required {value}", info.config.get(field)))
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::Drifted { asset: self.identity.to_string(), difference: differences.join("; ") })
    }

    async fn info(&self) -> Result<ConsumerInfo, Error> {
        let operation = format!("CONSUMER.INFO.{}.{}", self.identity.stream, self.identity.consumer);
        self.jetstream.call(&operation, &Value::Null).await
    }

    async fn receive(&mut self, deadline: Instant) -> Result<Option<StoredMessage>, Error> {
        loop {
            if let Err(error) = self.pull().await {
                let is_over = Instant::now() + RETRY_PAUSE >= deadline;
                match error {
                    Error::Disconnected | Error::Timeout { .. } if is_over => return Err(error),
                    Error::Disconnected | Error::Timeout { .. } => tokio::time::sleep(RETRY_PAUSE).await,
                    other => return Err(other),
                }
                continue;
            }
            match tokio::time::timeout_at(deadline, self.receive_pulled()).await {
                Err(_) => return Ok(None),
                Ok(Ok(Some(message))) => return Ok(Some(message)),
                Ok(Ok(None)) => {}
                Ok(Err(error)) if Instant::now() + RETRY_PAUSE >= deadline => {
                    return Err(self.explained(error).await);
                }
                Ok(Err(_)) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Nobody answers a pull while the consumer has no leader, and when there is no such consumer.
    async fn explained(&self, error: Error) -> Error {
        let nobody_answers = matches!(error, Error::Storage { code, .. } if code == u64::from(NO_RESPONDERS));
        if !nobody_answers {
            return error;
        }
        match tokio::time::timeout(EXPLANATION_TIMEOUT, self.info()).await {
            Ok(Err(missing @ Error::Missing { .. })) => missing,
            _ => error,
        }
    }

    /// Asks for one piece of work unless one is asked for already.
    async fn pull(&mut self) -> Result<(), Error> {
        if self.inbox.is_none() {
            let prefix = format!("_INBOX.{}.", nuid::next());
            let subscription = self.jetstream.connection.subscribe(format!("{prefix}*")).await?;
            self.inbox = Some(Inbox { subscription, prefix, pulls: 0, overdue: None });
        }
        let Some(inbox) = self.inbox.as_mut().filter(|inbox| inbox.overdue.is_none()) else { return Ok(()) };
        self.connects.mark_unchanged();
        inbox.pulls += 1;
        let reply = format!("{}{}", inbox.prefix, inbox.pulls);
        let operation =
            format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.identity.stream, self.identity.consumer);
        let request = json!({ "batch": 1, "expires": nanoseconds(PULL_EXPIRES) });
        // Set before the call: a pull that may have been sent must not be sent again.
        inbox.overdue = Some(Instant::now() + PULL_EXPIRES + PULL_GRACE);
        let sent = self.jetstream.connection.publish_from(operation, &reply, request.to_string()).await;
        if matches!(sent, Err(Error::Disconnected)) {
            inbox.overdue = None;
        }
        sent
    }

    /// What the pull under way brings; nothing when it ended without work.
    async fn receive_pulled(&mut self) -> Result<Option<StoredMessage>, Error> {
        loop {
            let Some(inbox) = &mut self.inbox else { return Ok(None) };
            let Some(overdue) = inbox.overdue else { return Ok(None) };
            let message = tokio::select! {
                biased;
                message = inbox.subscription.next() => message.ok_or(Error::Closed)?,
                _ = self.connects.changed() => {
                    inbox.overdue = None;
                    return Ok(None);
                }
                () = tokio::time::sleep_until(overdue) => {
                    inbox.overdue = None;
                    return Ok(None);
                }
            };
            match inbox.sort(message) {
                Sorted::Work(message) => return Ok(Some(message)),
                Sorted::Ended => return Ok(None),
                Sorted::Interrupted(reason) => {
                    tracing::debug!(consumer = %self.identity, %reason, "a pull was ended, asking again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                    return Ok(None);
                }
                Sorted::Gone => return Err(Error::Missing { what: self.identity.to_string() }),
                Sorted::Refused(status) => {
                    let description = self.identity.to_string();
                    return Err(Error::Storage { code: u64::from(status), description });
                }
                Sorted::Stale => {}
            }
        }
    }
}

/// How much work a queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Not taken yet.
    pub waiting: u64,
    /// Taken and not finished.
    pub in_work: u64,
}

#[allow(clippy::large_enum_variant, reason = "none is kept")]
#[derive(Debug)]
enum Sorted {
    Work(StoredMessage),
    Ended,
    /// The server moves the consumer or has too many pulls: the next one may do.
    Interrupted(String),
    /// The consumer was deleted.
    Gone,
    Refused(u16),
    Stale,
}

impl Sorted {
    fn from_status(status: u16, description: &str) -> Self {
        match status {
            NOT_FOUND | REQUEST_TIMEOUT => Self::Ended,
            CONFLICT if description.eq_ignore_ascii_case(CONSUMER_DELETED) => Self::Gone,
            CONFLICT => Self::Interrupted(description.to_owned()),
            other => Self::Refused(other),
        }
    }
}

impl Inbox {
    fn sort(&mut self, message: Message) -> Sorted {
        let Some(status) = message.status().map(|status| status.as_u16()) else {
            return match StoredMessage::read(message) {
                Some(work) => {
                    self.overdue = None;
                    Sorted::Work(work)
                }
                None => Sorted::Stale,
            };
        };
        let is_current =
            message.subject().strip_prefix(&self.prefix) == Some(self.pulls.to_string().as_str());
        if !is_current {
            return Sorted::Stale;
        }
        self.overdue = None;
        Sorted::from_status(status, message.description().unwrap_or_default())
    }
}

impl std::fmt::Display for QueueIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "consumer {} of {}", self.consumer, self.stream)
    }
}

impl QueueIdentity {
    /// As [`QueueIdentity::config`], with what one that is there need not have.
    fn creation(&self) -> Value {
        let mut config = self.config();
        if let Some(after) = self.forgotten_after {
            config["inactive_threshold"] = nanoseconds(after).into();
        }
        config
    }

    /// Deliveries are unlimited at the server: it would leave work that was tried too often in the queue for ever.
    /// [`WorkQueue::take`] counts them and makes a dead letter instead.
    fn config(&self) -> Value {
        json!({
            "durable_name": self.consumer,
            "filter_subject": self.filter,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": nanoseconds(ACK_WAIT),
            "max_deliver": -1,
            "max_ack_pending": 1000,
            "replay_policy": "instant",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_pull_is_told_from_a_change_at_the_server_and_a_deleted_consumer() {
        for status in [NOT_FOUND, REQUEST_TIMEOUT] {
            assert!(matches!(Sorted::from_status(status, ""), Sorted::Ended), "{status}");
        }
        for change in ["Server Shutdown", "Leadership Change", "Exceeded MaxWaiting"] {
            let sorted = Sorted::from_status(CONFLICT, change);
            assert!(matches!(&sorted, Sorted::Interrupted(reason) if reason == change), "{sorted:?}");
        }
        assert!(matches!(Sorted::from_status(CONFLICT, "Consumer Deleted"), Sorted::Gone));
        assert!(matches!(Sorted::from_status(NO_RESPONDERS, ""), Sorted::Refused(NO_RESPONDERS)));
    }
}
