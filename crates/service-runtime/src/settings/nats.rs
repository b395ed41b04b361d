//! The broker and how to reach it.

use std::path::PathBuf;
use std::time::Duration;

use leat_contract::{Subjects, WorkerId};
use leat_messaging::{ConnectOptions, Credentials, Tls};
use serde::{Deserialize, Serialize};

use super::secret::{redact_urls, redacted_urls};
use super::{Invalid, Secret, Validate, within};
use crate::Error;

/// The broker and how to reach it. At most one way to authenticate: a token, a user with a password, a key seed or a
/// credentials file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// Addresses of the broker, comma-separated (`nats://one:4222,nats://two:4222`).
    #[serde(serialize_with = "redact_urls")]
    pub url: String,
    /// First token of every subject and name, so that several installations can share a broker.
    pub subject_prefix: String,
    /// Token to authenticate with.
    pub token: Option<Secret>,
    /// User to authenticate as.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<Secret>,
    /// Seed of the NKey to authenticate with.
    pub nkey_seed: Option<Secret>,
    /// File with a user's JWT and seed, as `nsc` writes it.
    pub credentials_file: Option<PathBuf>,
    /// Refuse connections without TLS.
    pub tls_required: bool,
    /// Start TLS before the broker's greeting, for brokers with `handshake_first`.
    pub tls_first: bool,
    /// Certificates to trust besides those of the system, PEM.
    pub tls_ca_file: Option<PathBuf>,
    /// Certificate to show the broker, PEM; needs the key.
    pub tls_certificate_file: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// How long a starting service waits for the broker before it gives up; they often start together.
    pub connect_deadline_ms: u64,
    /// Create and repair streams, buckets and object stores at the start. Without it they must be there and as required,
    /// for accounts that may not create them.
    pub provision: bool,
    /// Name of this instance in connections, subjects and leases, unique among all workers. A random one unless set.
    pub instance: Option<WorkerId>,
}

impl NatsSettings {
    /// Gives what a connection with this name is made with.
    pub fn connect_options(&self, name: impl Into<String>) -> ConnectOptions {
        let deadline = Duration::from_millis(self.connect_deadline_ms);
        let mut options = ConnectOptions::new(self.url.clone(), name).patience(deadline).own_thread();
        options.credentials = self.credentials();
        options.tls = Tls {
            required: self.tls_required,
            first: self.tls_first,
            roots: self.tls_ca_file.clone(),
            identity: self.tls_certificate_file.clone().zip(self.tls_key_file.clone()),
        };
        options
    }

    /// Gives the configured name of this instance, or a random one made from the service's.
    pub fn instance_name(&self, service: &str) -> Result<WorkerId, Error> {
        if let Some(instance) = &self.instance {
            return Ok(instance.clone());
        }
        let random = nuid::next();
        let suffix = random.get(random.len().saturating_sub(8)..).unwrap_or_default();
        WorkerId::new(format!("{service}-{suffix}")).map_err(|error| Error::Settings {
            section: "nats".to_owned(),
            reason: format!("instance: {error}"),
        })
    }

    fn credentials(&self) -> Credentials {
        let shown = |secret: &Secret| secret.expose().to_owned();
        if let Some(token) = &self.token {
            return Credentials::Token(shown(token));
        }
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            return Credentials::Password { user: user.clone(), password: shown(password) };
        }
        if let Some(seed) = &self.nkey_seed {
            return Credentials::NKey(shown(seed));
        }
        self.credentials_file.clone().map_or(Credentials::None, Credentials::File)
    }
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            subject_prefix: "leat".to_owned(),
            token: None,
            user: None,
            password: None,
            nkey_seed: None,
            credentials_file: None,
            tls_required: false,
            tls_first: false,
            tls_ca_file: None,
            tls_certificate_file: None,
            tls_key_file: None,
            connect_deadline_ms: 30_000,
            provision: true,
            instance: None,
        }
    }
}

impl Validate for NatsSettings {
    fn validate(&self) -> Result<(), Invalid> {
        if self.url.split(',').any(|url| url.trim().is_empty()) {
            return Err(Invalid::new("url", format!("'{}' has an empty address", redacted_urls(&self.url))));
        }
        if let Err(error) = Subjects::new(&self.subject_prefix) {
            return Err(Invalid::new("subject_prefix", error.to_string()));
        }
        if self.user.is_some() != self.password.is_some() {
            return Err(Invalid::new("user", "user and password go together"));
        }
        if self.tls_certificate_file.is_some() != self.tls_key_file.is_some() {
            return Err(Invalid::new("tls_certificate_file", "certificate and key go together"));
        }
        let ways = [
            self.token.is_some(),
            self.user.is_some(),
            self.nkey_seed.is_some(),
            self.credentials_file.is_some(),
        ];
        if ways.iter().filter(|&&is_set| is_set).count() > 1 {
            return Err(Invalid::new("token", "more than one way to authenticate is set"));
        }
        within("connect_deadline_ms", self.connect_deadline_ms, 100..=3_600_000)
    }
}
