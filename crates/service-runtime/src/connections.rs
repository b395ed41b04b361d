//! The connections of one service, apart so that no kind of traffic waits for another.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use leat_contract::WorkerId;
use leat_messaging::{ConnectOptions, Connection, Error as MessagingError, State};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::{Error, NatsSettings, Readiness, Tasks};

/// Requests that wait unread on the ingest connection before further ones are dropped and counted. More than what the kernel holds of
/// small requests, all of which may come at once; readers take everything there is, so that large ones do not pile up here.
const INGEST_CAPACITY: usize = 65_536;

/// One connection for each kind of traffic. Each has a thread of its own, apart from the threads that handle messages.
/// They are named `leat-<service>/<instance>/<purpose>`, which is what the broker's monitoring shows.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Subscriptions that bring work.
    pub ingest: Connection,
    /// Replies, telemetry and events: what the service publishes.
    pub reply: Connection,
    /// Streams, values and objects; a large download never stands in the way of the others.
    pub storage: Connection,
    /// Orders to this instance and the NATS micro protocol.
    pub control: Connection,
    further: Arc<Further>,
}

/// What further connections are made from, and those that were.
#[derive(Debug)]
struct Further {
    name: String,
    nats: NatsSettings,
    opened: Mutex<Vec<(String, Connection)>>,
}

impl Connections {
    /// Makes all of them, waiting for the broker as long as the settings say.
    pub(crate) async fn open(service: &str, instance: &WorkerId, nats: &NatsSettings) -> Result<Self, Error> {
        let name = format!("leat-{service}/{instance}");
        let options = |purpose: &str| nats.connect_options(format!("{name}/{purpose}"));
        let ingest = Connection::connect(&with_room(options("ingest"))).await?;
        let connections = Self {
            reply: Connection::connect(&options("reply")).await?,
            ingest,
            storage: Connection::connect(&options("storage")).await?,
            control: Connection::connect(&options("control")).await?,
            further: Arc::new(Further { name: name.clone(), nats: nats.clone(), opened: Mutex::default() }),
        };
        info!(server_version = connections.control.server_version(), "connected to the broker");
        Ok(connections)
    }

    /// Opens a further connection with a thread of its own, with room for what comes in at once if it is to bring work. It is
    /// counted, flushed and closed with the others.
    pub(crate) async fn another(
        &self,
        purpose: &str,
        brings_work: bool,
    ) -> Result<Connection, MessagingError> {
        let Further { name, nats, .. } = &*self.further;
        let options = nats.connect_options(format!("{name}/{purpose}"));
        let options = if brings_work { with_room(options) } else { options };
        let connection = Connection::connect(&options).await?;
        self.further.opened().push((format!("connection {purpose}"), connection.clone()));
        Ok(connection)
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
    pub(crate) fn watch(&self, tasks: &Tasks, readiness: &Readiness) {
        for (purpose, connection) in self.each() {
            tasks.spawn("connection", self.watch_one(purpose, &connection, readiness, tasks));
        }
    }

    /// Keeps readiness in step with one connection until it is closed.
    pub(crate) fn watch_one(
        &self,
        purpose: String,
        connection: &Connection,
        readiness: &Readiness,
        tasks: &Tasks,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + use<> {
        let (states, url) = (connection.state(), self.further.nats.url.clone());
        watch_state(purpose, states, readiness.clone(), (url, tasks.clone()))
    }

    /// Waits until every reply was handed over.
    pub(crate) async fn flush(&self, deadline: Duration) {
        let further: Vec<Connection> =
            self.further.opened().iter().map(|(_, connection)| connection.clone()).collect();
        let flushing = [&self.ingest, &self.reply].into_iter().chain(&further).map(|connection| async move {
            if !connection.is_connected() {
                return warn!("connection is lost, nothing to flush");
            }
            if let Err(error) = connection.flush(deadline).await {
                warn!(%error, "replies may not have left");
            }
        });
        join_all(flushing).await;
    }

    /// Sends what is queued and closes every connection, all at the same time.
    pub(crate) async fn drain(&self, deadline: Duration) {
        let draining = self.each().into_iter().map(|(purpose, connection)| async move {
            if !connection.is_connected() {
                return warn!(purpose, "connection is lost, nothing to drain");
            }
            if let Err(error) = connection.drain(deadline).await {
                warn!(purpose, %error, "connection did not close in order");
            }
        });
        join_all(draining).await;
    }

    fn each(&self) -> Vec<(String, Connection)> {
        let own = [
            ("connection ingest", &self.ingest),
            ("connection reply", &self.reply),
            ("connection storage", &self.storage),
            ("connection control", &self.control),
        ];
        let own = own.map(|(purpose, connection)| (purpose.to_owned(), connection.clone()));
        own.into_iter().chain(self.further.opened().iter().cloned()).collect()
    }
}

fn with_room(mut options: ConnectOptions) -> ConnectOptions {
    options.subscription_capacity = INGEST_CAPACITY;
    options
}

impl Further {
    fn opened(&self) -> MutexGuard<'_, Vec<(String, Connection)>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is shared with the service; holding on to it here would keep it open.
async fn watch_state(
    purpose: String,
    mut states: watch::Receiver<State>,
    readiness: Readiness,
    (url, tasks): (String, Tasks),
) -> Result<(), Infallible> {
    loop {
        let state = *states.borrow_and_update();
        match state {
            State::Connected => readiness.clear(&purpose),
            State::Disconnected => readiness.block(&purpose, "disconnected"),
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
