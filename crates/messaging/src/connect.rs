//! How a connection is made: address, credentials, encryption, and what bounds it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_nats::{ConnectErrorKind, Event};
use leat_contract::server_version;
use tokio::time::Instant;

use crate::connection::{Connection, Inner};
use crate::jitter::jittered;
use crate::own_thread::OwnThread;
use crate::requests::Requests;
use crate::state::StateTracker;
use crate::{Error, State};

/// A dead server is noticed after two of these.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Where to connect to, as whom, and within which bounds.
#[derive(Clone)]
pub struct ConnectOptions {
    /// One or several addresses, separated by commas: `nats://host:4222`, `tls://host:4222`.
    pub url: String,
    /// What the broker's monitoring shows for the connection, for example `leat-trainer/<instance>`.
    pub name: String,
    /// Who we are.
    pub credentials: Credentials,
    /// Encryption beyond what the address asks for.
    pub tls: Tls,
    /// How long to go on trying at the start; zero means one attempt.
    pub patience: Duration,
    /// How many messages may wait in one subscription before further ones are dropped and counted.
    pub subscription_capacity: usize,
    /// Runs the connection on a thread of its own. Computation on other threads cannot starve it then, and closing it loses nothing.
    pub own_thread: bool,
}

/// What the broker accepts us by.
#[derive(Clone, Default)]
pub enum Credentials {
    /// What the address says, or nothing.
    #[default]
    None,
    /// A shared token.
    Token(String),
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// The seed of an NKey.
    NKey(String),
    /// A `.creds` file: a JWT and its seed.
    File(PathBuf),
}

/// Encryption settings.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Refuse an unencrypted connection.
    pub required: bool,
    /// Start the encryption before the server says anything.
    pub first: bool,
    /// A file with further root certificates.
    pub roots: Option<PathBuf>,
    /// Our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ConnectOptions {
    /// One attempt, without credentials of its own.
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            credentials: Credentials::None,
            tls: Tls::default(),
            patience: Duration::ZERO,
            subscription_capacity: 16_384,
            own_thread: false,
        }
    }

    /// Goes on trying at the start for this long.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the connection on a thread of its own.
    pub fn own_thread(mut self) -> Self {
        self.own_thread = true;
        self
    }
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ConnectOptions")
            .field("url", &redacted(&self.url))
            .field("name", &self.name)
            .field("patience", &self.patience)
            .field("subscription_capacity", &self.subscription_capacity)
            .field("own_thread", &self.own_thread)
            .finish_non_exhaustive()
    }
}

/// Connects, checks the server's version and waits until a message has gone to the server and back.
pub(crate) async fn connect(options: &ConnectOptions) -> Result<Connection, Error> {
    let started = Instant::now();
    loop {
        match attempt(options).await {
            Err(Error::Connect { .. } | Error::Timeout { .. } | Error::Disconnected)
                if started.elapsed() < options.patience =>
            {
                tokio::time::sleep(jittered(RECONNECT_DELAY_MAX)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn attempt(options: &ConnectOptions) -> Result<Connection, Error> {
    let thread = if options.own_thread { Some(OwnThread::start(&options.name)?) } else { None };
    let tracker = StateTracker::new();
    let requests = Arc::new(Requests::new());
    let late = Arc::new(OnceLock::new());
    let client_options = client_options(options, &tracker, &requests, &late)?;
    let urls: Vec<String> = options.url.split(',').map(|url| url.trim().to_owned()).collect();
    let connecting = async move { client_options.connect(urls).await };
    let client = match &thread {
        Some(thread) => thread.run(connecting).await?,
        None => connecting.await,
    }
    .map_err(|error| refusal(options, &error))?;
    server_version::check(&client.server_info().version)?;
    let inner = Inner::new(client, tracker, requests, thread).await?;
    // The slot was made here and is filled only here.
    let _ = late.set(Arc::downgrade(&inner));
    let connection = Connection::from_inner(inner);
    connection.round_trip(HANDSHAKE_TIMEOUT).await?;
    // The client library tells its events a little later than it connects.
    connection.connected(HANDSHAKE_TIMEOUT).await?;
    Ok(connection)
}

fn client_options(
    options: &ConnectOptions,
    tracker: &Arc<StateTracker>,
    requests: &Arc<Requests>,
    connection: &Arc<OnceLock<Weak<Inner>>>,
) -> Result<async_nats::ConnectOptions, Error> {
    let (tracker, requests, connection) = (tracker.clone(), requests.clone(), connection.clone());
    let plain = async_nats::ConnectOptions::new()
        .name(&options.name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(HANDSHAKE_TIMEOUT)
        .subscription_capacity(options.subscription_capacity)
        .client_capacity(8192)
        .reconnect_delay_callback(|attempts| match attempts {
            0 | 1 => Duration::ZERO,
            _ => jittered(RECONNECT_DELAY_MAX),
        })
        .event_callback(move |event| {
            if tracker.note(&event) {
                requests.fail_all();
            }
            let connection = connection.get().and_then(Weak::upgrade);
            async move {
                if let (Event::LameDuckMode, Some(connection)) = (event, connection) {
                    connection.leave_lame_duck().await;
                }
            }
        });
    with_credentials(with_tls(plain, &options.tls)?, &options.credentials)
}

fn with_tls(mut plain: async_nats::ConnectOptions, tls: &Tls) -> Result<async_nats::ConnectOptions, Error> {
    plain = plain.require_tls(tls.required);
    if tls.first {
        plain = plain.tls_first();
    }
    if let Some(roots) = &tls.roots {
        expect_pem("root certificates file", roots, "CERTIFICATE")?;
        plain = plain.add_root_certificates(roots.clone());
    }
    if let Some((certificate, key)) = &tls.identity {
        expect_pem("client certificate file", certificate, "CERTIFICATE")?;
        expect_pem("client key file", key, "PRIVATE KEY")?;
        plain = plain.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(plain)
}

/// The client library reads these files anew with every attempt and cannot tell a wrong one from a broken line.
fn expect_pem(what: &'static str, path: &Path, label: &str) -> Result<(), Error> {
    let text = read(what, path)?;
    let holds_one = text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(label));
    if holds_one {
        return Ok(());
    }
    Err(Error::Invalid { what, reason: format!("{} holds no {label} in PEM form", path.display()) })
}

fn read(what: &'static str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::Invalid { what, reason: format!("{}: {error}", path.display()) })
}

fn with_credentials(
    plain: async_nats::ConnectOptions,
    credentials: &Credentials,
) -> Result<async_nats::ConnectOptions, Error> {
    Ok(match credentials {
        Credentials::None => plain,
        Credentials::Token(token) => plain.token(token.clone()),
        Credentials::Password { user, password } => plain.user_and_password(user.clone(), password.clone()),
        Credentials::NKey(seed) => plain.nkey(seed.clone()),
        Credentials::File(path) => {
            let what = "credentials file";
            let unusable = |error: std::io::Error| Error::Invalid {
                what,
                reason: format!("{}: {error}", path.display()),
            };
            plain.credentials(&read(what, path)?).map_err(unusable)?
        }
    })
}

fn refusal(options: &ConnectOptions, error: &async_nats::ConnectError) -> Error {
    let (url, reason) = (redacted(&options.url), error.to_string());
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Error::Unauthorized { url, reason }
        }
        ConnectErrorKind::ServerParse => {
            Error::Invalid { what: "broker address", reason: format!("{url}: {reason}") }
        }
        _ => Error::Connect { url, reason },
    }
}

/// The addresses without what stands before an `@`.
fn redacted(url: &str) -> String {
    let plain = |one: &str| {
        let (scheme, rest) = one.split_once("://").map_or(("", one), |(scheme, rest)| (scheme, rest));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
    };
    url.split(',').map(|one| plain(one.trim())).collect::<Vec<_>>().join(",")
}

impl Connection {
    /// Connects, trying for as long as `options.patience` says.
    ///
    /// Fails when the server refuses the credentials, is older than Leat requires, or is not reachable; and at once when
    /// a file that the options name cannot be used. Afterwards the
    /// connection restores itself for ever, trying at least twice a second; see [`State`].
    pub async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        connect(options).await
    }

    /// Waits until the connection is there.
    pub async fn connected(&self, timeout: Duration) -> Result<(), Error> {
        let mut state = self.state();
        let settled = state.wait_for(|state| matches!(state, State::Connected | State::Closed));
        match tokio::time::timeout(timeout, settled).await {
            Ok(Ok(state)) if *state == State::Connected => Ok(()),
            Ok(_) => Err(Error::Closed),
            Err(_) => Err(Error::Disconnected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        assert_eq!(redacted("nats://user:pass@host:4222"), "nats://host:4222");
        assert_eq!(redacted("nats://token@a:1, host:2"), "nats://a:1,host:2");
        let options = ConnectOptions::new("nats://secret@host:4222", "test");
        assert!(!format!("{options:?}").contains("secret"));
    }
}
