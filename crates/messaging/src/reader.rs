//! Reads a stream in order, for ever: the one mechanism below watches, followers and object downloads.
//!
//! A reader pulls in bounded portions through a short-lived consumer without acknowledgements. When anything is
//! unusual (the connection was lost, the broker restarted, the consumer is gone, a message is missing) it makes a
//! new consumer that starts behind the last message it gave out. Nothing is pulled while nobody reads.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::jetstream::{ConsumerInfo, JetStream, nanoseconds};
use crate::jitter::jittered;
use crate::{Error, StoredMessage, Subscription};

/// How long one pull waits at the server; after a restart of the broker nothing waits longer for nothing.
const PULL_EXPIRES: Duration = Duration::from_secs(2);
/// What a pull may take longer than it expires before it counts as lost.
const PULL_GRACE: Duration = Duration::from_secs(1);
/// The server removes the consumer of a reader that stopped pulling for this long.
const INACTIVE: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What it may take to read everything that is there.
pub(crate) const LISTING_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the last message of every subject; again so whenever the reading was interrupted.
    LastPerSubject,
    /// At the first message.
    First,
    /// Behind what is stored now.
    New,
    /// Behind the message with this sequence.
    After(u64),
}

/// What a reader gives.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly every one is a message, and none is kept")]
pub(crate) enum Read {
    /// Reading began, or began anew after an interruption, with so many messages waiting.
    Opened {
        /// How many messages are there now.
        pending: u64,
    },
    /// The next message.
    Message(StoredMessage),
    /// Messages were told to wait, but there are none: they expired or were removed meanwhile.
    Exhausted,
}

/// Reads the messages of one stream that match one filter.
#[derive(Debug)]
pub(crate) struct Reader {
    jetstream: JetStream,
    stream: String,
    filter: String,
    start: Start,
    portion: usize,
    /// The stream sequence of the last message given out.
    cursor: Option<u64>,
    session: Option<Session>,
    connects: watch::Receiver<u64>,
}

/// One consumer and the pull that is under way.
#[derive(Debug)]
struct Session {
    consumer: String,
    /// How many messages were waiting at the beginning, until that was told.
    unsaid: Option<u64>,
    inbox: Subscription,
    subject: String,
    consumer_sequence: u64,
    /// How many messages were waiting when that was last told.
    pending: u64,
    /// How many messages the pull under way may still bring; zero when none is under way.
    wanted: usize,
    /// Whether the pull under way has brought nothing yet.
    is_empty: bool,
    overdue: Instant,
}

/// How a wait ended.
enum Arrival {
    Message(StoredMessage),
    PullEnded,
    Broken(String),
}

impl Reader {
    pub(crate) fn new(jetstream: JetStream, stream: String, filter: String, start: Start) -> Self {
        let connects = jetstream.connection.connects();
        Self { jetstream, stream, filter, start, portion: 256, cursor: None, session: None, connects }
    }

    /// From now on pulls so many messages at once: fewer for streams with large ones.
    pub(crate) fn set_portion(&mut self, portion: usize) {
        self.portion = portion;
    }

    /// What comes next. It waits as long as it takes; dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Read {
        loop {
            self.opened().await;
            if let Some(pending) = self.session.as_mut().and_then(|session| session.unsaid.take()) {
                return Read::Opened { pending };
            }
            match self.arrival().await {
                Arrival::Message(message) => {
                    self.cursor = Some(message.sequence());
                    return Read::Message(message);
                }
                Arrival::PullEnded if self.is_exhausted().await => return Read::Exhausted,
                Arrival::PullEnded => {}
                Arrival::Broken(reason) => {
                    tracing::debug!(stream = %self.stream, filter = %self.filter, %reason, "reading begins anew");
                    self.session = None;
                }
            }
        }
    }

    /// Waits until reading has begun: whatever is stored from now on will be read.
    pub(crate) async fn opened(&mut self) {
        while self.session.is_none() {
            if let Err(error) = self.open().await {
                self.pause(&error).await;
            }
        }
    }

    /// Begins anew at the next call.
    pub(crate) async fn restart(&mut self) {
        if let Some(session) = self.session.take() {
            // The server removes an idle consumer itself; this only spares it the wait.
            let _ = self.jetstream.delete_consumer(&self.stream, &session.consumer).await;
        }
    }

    async fn pause(&mut self, error: &Error) {
        tracing::debug!(stream = %self.stream, filter = %self.filter, %error, "cannot read, trying again");
        if matches!(error, Error::Disconnected) {
            // Restored or not, the pause bounds how often this is tried.
            let _ = tokio::time::timeout(RETRY_PAUSE, self.connects.changed()).await;
        }
        tokio::time::sleep(jittered(RETRY_PAUSE)).await;
    }

    async fn open(&mut self) -> Result<(), Error> {
        self.connects.mark_unchanged();
        let inbox = format!("_INBOX.{}", nuid::next());
        let subscription = self.jetstream.connection.subscribe(inbox.clone()).await?;
        let consumer = self.create_consumer().await?;
        if self.cursor.is_none() && self.start == Start::New {
            self.cursor = Some(consumer.delivered.stream_seq);
        }
        self.session = Some(Session {
            consumer: consumer.name,
            unsaid: Some(consumer.num_pending),
            pending: consumer.num_pending,
            inbox: subscription,
            subject: inbox,
            consumer_sequence: 0,
            wanted: 0,
            is_empty: true,
            overdue: Instant::now(),
        });
        Ok(())
    }

    async fn create_consumer(&self) -> Result<ConsumerInfo, Error> {
        let mut config = json!({
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": self.filter,
            "inactive_threshold": nanoseconds(INACTIVE),
            "mem_storage": true,
            "num_replicas": 1,
        });
        match self.resume().await? {
            Start::LastPerSubject => config["deliver_policy"] = Value::from("last_per_subject"),
            Start::First => config["deliver_policy"] = Value::from("all"),
            Start::New => config["deliver_policy"] = Value::from("new"),
            Start::After(sequence) => {
                config["deliver_policy"] = Value::from("by_start_sequence");
                config["opt_start_seq"] = Value::from(sequence + 1);
            }
        }
        self.jetstream.create_consumer(&self.stream, config).await
    }

    /// Where to go on. A stream that is shorter than what was read already was made anew: all of it is unread.
    async fn resume(&self) -> Result<Start, Error> {
        let after = match (self.start, self.cursor) {
            (Start::LastPerSubject, _) | (Start::First | Start::New, None) => return Ok(self.start),
            (Start::After(sequence), None) | (_, Some(sequence)) => sequence,
        };
        let last = self.jetstream.stream_info(&self.stream).await?.state.last_seq;
        Ok(if last < after { Start::First } else { Start::After(after) })
    }

    /// Whether a pull brought nothing although messages were waiting, and the server says that none are left.
    async fn is_exhausted(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        let is_suspicious = session.is_empty && session.pending > 0;
        if !is_suspicious {
            return false;
        }
        let operation = format!("CONSUMER.INFO.{}.{}", self.stream, session.consumer);
        // When the consumer is gone the next pull tells.
        let Ok(info) = self.jetstream.call::<ConsumerInfo>(&operation, &Value::Null).await else {
            return false;
        };
        session.pending = info.num_pending;
        info.num_pending == 0
    }

    async fn arrival(&mut self) -> Arrival {
        let Some(session) = &mut self.session else { return Arrival::Broken("not open".to_owned()) };
        if session.wanted == 0
            && let Err(error) = session.pull(&self.jetstream, &self.stream, self.portion).await
        {
            return Arrival::Broken(error.to_string());
        }
        tokio::select! {
            biased;
            message = session.inbox.next() => match message {
                Some(message) => session.sort(message),
                None => Arrival::Broken("the connection was closed".to_owned()),
            },
            _ = self.connects.changed() => Arrival::Broken("the connection was restored".to_owned()),
            () = tokio::time::sleep_until(session.overdue) => Arrival::Broken("a pull was not answered".to_owned()),
        }
    }
}

impl Session {
    async fn pull(&mut self, jetstream: &JetStream, stream: &str, portion: usize) -> Result<(), Error> {
        // Set before the call: a pull that may have been sent must not be sent again.
        self.wanted = portion;
        self.is_empty = true;
        self.wait_anew();
        let request = json!({ "batch": portion, "expires": nanoseconds(PULL_EXPIRES) });
        let operation = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", self.consumer);
        jetstream.connection.publish_from(operation, &self.subject, request.to_string()).await
    }

    fn wait_anew(&mut self) {
        self.overdue = Instant::now() + PULL_EXPIRES + PULL_GRACE;
    }

    fn sort(&mut self, message: crate::Message) -> Arrival {
        if let Some(status) = message.status() {
            return match status.as_u16() {
                404 | 408 => {
                    self.wanted = 0;
                    Arrival::PullEnded
                }
                other => Arrival::Broken(format!("status {other}")),
            };
        }
        let Some(message) = StoredMessage::read(message) else {
            return Arrival::Broken("a message from elsewhere".to_owned());
        };
        self.consumer_sequence += 1;
        if message.place().consumer_sequence != self.consumer_sequence {
            return Arrival::Broken(format!("message {} is missing", self.consumer_sequence));
        }
        self.wanted = self.wanted.saturating_sub(1);
        self.is_empty = false;
        self.pending = message.pending();
        // On a slow line the messages of one pull take longer than it waits at the server.
        self.wait_anew();
        Arrival::Message(message)
    }
}
