//! The connections of one service, apart so that no kind of traffic waits for another.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use leat_contract::WorkerId;
use leat_messaging::{Connection, Error as MessagingError, State};
use tracing::{error, info, warn};

use crate::{Error, NatsSettings, Readiness, Tasks};

/// Requests that wait unread on the ingest connection before further ones are dropped and counted. Small, so that overload
/// shows early and memory stays bounded.
const INGEST_CAPACITY: usize = 4_096;

/// One connection for each kind of traffic. They have threads of their own, apart from the threads that handle messages; requests and
/// the replies to them share one.
/// They are named `leat-<service>/<instance>/<purpose>`, which is what the broker's monitoring shows.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Subscriptions that bring work; nothing is published here, so that draining them loses nothing.
    pub ingest: Connection,
    /// Replies, telemetry and events: what the service publishes. On the thread of `ingest`.
    pub reply: Connection,
    /// Streams, values and objects; a large download never stands in the way of the others.
    pub storage: Connection,
    /// Orders to this instance and the NATS micro protocol.
    pub control: Connection,
}

impl Connections {
    /// Makes all of them, waiting for the broker as long as the settings say.
    pub(crate) async fn open(service: &str, instance: &WorkerId, nats: &NatsSettings) -> Result<Self, Error> {
        let options = |purpose: &str| nats.connect_options(format!("leat-{service}/{instance}/{purpose}"));
        let mut ingest = options("ingest");
        ingest.subscription_capacity = INGEST_CAPACITY;
        let ingest = Connection::connect(&ingest).await?;
        let connections = Self {
            reply: Connection::connect(&options("reply").beside(&ingest)).await?,
            ingest,
            storage: Connection::connect(&options("storage")).await?,
            control: Connection::connect(&options("control")).await?,
        };
        info!(server_version = connections.control.server_version(), "connected to the broker");
        Ok(connections)
    }

    /// Sum over all connections of how often each was restored.
    pub fn reconnects(&self) -> u64 {
        self.each().iter().map(|(_, connection)| connection.reconnects()).sum()
    }

    /// Sum over all connections of the messages dropped because a subscription was not read fast enough.
    pub fn lost_messages(&self) -> u64 {
        self.each().iter().map(|(_, connection)| connection.lost_messages()).sum()
    }

    /// Keeps readiness in step with every connection. The service stops when one is closed, or refused on reconnect.
    pub(crate) fn watch(&self, tasks: &Tasks, readiness: &Readiness, url: &str) {
        for (purpose, connection) in self.each() {
            let watching =
                watch_one(purpose, connection.clone(), readiness.clone(), url.to_owned(), tasks.clone());
            tasks.spawn(purpose, watching);
        }
    }

    /// Waits until everything published was handed over.
    pub(crate) async fn flush(&self, deadline: Duration) {
        if !self.reply.is_connected() {
            return warn!("connection is lost, nothing to flush");
        }
        if let Err(error) = self.reply.flush(deadline).await {
            warn!(%error, "replies may not have left");
        }
    }

    /// Sends what is queued and closes every connection, all at the same time.
    pub(crate) async fn drain(&self, deadline: Duration) {
        let draining = self.each().map(|(purpose, connection)| async move {
            if !connection.is_connected() {
                return warn!(purpose, "connection is lost, nothing to drain");
            }
            if let Err(error) = connection.drain(deadline).await {
                warn!(purpose, %error, "connection did not close in order");
            }
        });
        join_all(draining).await;
    }

    fn each(&self) -> [(&'static str, &Connection); 4] {
        [
            ("connection ingest", &self.ingest),
            ("connection reply", &self.reply),
            ("connection storage", &self.storage),
            ("connection control", &self.control),
        ]
    }
}

async fn watch_one(
    purpose: &'static str,
    connection: Connection,
    readiness: Readiness,
    url: String,
    tasks: Tasks,
) -> Result<(), Infallible> {
    let mut states = connection.state();
    // The connection is shared with the service; holding on to it here would keep it open.
    drop(connection);
    loop {
        let state = *states.borrow_and_update();
        match state {
            State::Connected => readiness.clear(purpose),
            State::Disconnected => readiness.block(purpose, "disconnected"),
            State::Refused => {
                let reason = "authorization failed on reconnect".to_owned();
                error!(purpose, reason, "connection refused");
                // Told as it is: the exit code says that the credentials are to blame.
                tasks.fail(MessagingError::Unauthorized { url, reason }.into());
                return Ok(());
            }
            State::Closed => return Ok(()),
        }
        if states.changed().await.is_err() {
            return Ok(());
        }
    }
}
