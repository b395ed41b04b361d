//! What commands share when they are connected: the registry, deployments and jobs, seen from a client.

mod jobs;
mod readable;

use std::time::Duration;

use bytes::Bytes;
use leat_catalogue::Catalogue;
use leat_contract::{AssetRole, ModelMetadata, ModelRef, ModelVersion, Subjects, VersionRef};
use leat_messaging::{ConnectOptions, Connection, Error as MessagingError, Storage};

pub(crate) use jobs::Jobs;
pub(crate) use readable::readable;

use crate::arguments::{GlobalOptions, OutputFormat};
use crate::{Error, output};

pub(crate) const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
/// One short wait covers a broker that is just starting; a person should not wait longer for a wrong address.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// A connected command.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) storage: Storage,
    pub(crate) subjects: Subjects,
    pub(crate) output: OutputFormat,
}

impl Session {
    /// Connects as the global options say.
    ///
    /// # Errors
    /// When there is no broker, or none that Leat has been on, with what to do about it.
    pub(crate) async fn open(global: &GlobalOptions) -> Result<Self, Error> {
        let url = global.nats_url.as_deref().unwrap_or(DEFAULT_URL);
        let subjects = Subjects::new(&global.prefix)?;
        let mut session = Self::connect(url, subjects).await.map_err(|error| {
            Error::Usage(format!(
                "{error}\nstart a local cluster with `leat up`, or name a broker with --nats-url"
            ))
        })?;
        session.output = global.output;
        session.check_provisioned(url).await?;
        Ok(session)
    }

    /// Services make every stream and bucket when they start; without one of them there is nothing to talk to.
    async fn check_provisioned(&self, url: &str) -> Result<(), Error> {
        match self.storage.event_log(AssetRole::Events).messages().await {
            Err(MessagingError::Missing { .. }) => Err(Error::Usage(format!(
                "no Leat service has run on {url} with the prefix {}\nstart a local cluster with `leat up`, or services with \
                 `leat service`",
                self.subjects.prefix()
            ))),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Connects to a broker.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) async fn connect(url: &str, subjects: Subjects) -> Result<Self, Error> {
        let mut options = ConnectOptions::new(url, "leat-cli");
        options.patience = CONNECT_PATIENCE;
        let connection = Connection::connect(&options).await?;
        let storage = Storage::open(&connection, &subjects);
        Ok(Self { connection, storage, subjects, output: OutputFormat::Text })
    }

    /// What a model or a version of it takes and gives, as its workers say.
    ///
    /// # Errors
    /// When nobody serves it, with what to do about it.
    pub(crate) async fn metadata(&self, model: &ModelRef) -> Result<ModelMetadata, Error> {
        let version = self.version(model).await?;
        if let Some(version) = version {
            match self.described(self.subjects.metadata_version(&model.name, version)).await {
                Err(MessagingError::NoResponders { .. }) => {}
                described => return Ok(described?),
            }
        }
        let described = self.described(self.subjects.metadata(&model.name)).await.map_err(|error| {
            Error::Usage(format!(
                "{error}\nis {model} deployed? `leat status` shows it, `leat deploy` does it"
            ))
        })?;
        // Workers of a contract before 1.6 describe a model, whatever its version.
        let is_older = described.version.is_none();
        let is_meant = |version: ModelVersion| is_older && described.versions.contains(&version.to_string());
        if version.is_none_or(is_meant) {
            return Ok(described);
        }
        let versions = described.versions.join(", ");
        let hint = format!("workers serve versions {versions}; `leat deploy {model}` adds it");
        Err(Error::Unknown { what: "served model version", name: model.to_string(), hint })
    }

    async fn described(&self, subject: String) -> Result<ModelMetadata, MessagingError> {
        self.connection.request(subject, Bytes::new(), METADATA_TIMEOUT).await?.json()
    }

    /// The subject of a model's live route, or of the version that is named.
    ///
    /// # Errors
    /// When an alias points nowhere.
    pub(crate) async fn infer_subject(&self, model: &ModelRef) -> Result<String, Error> {
        Ok(match self.version(model).await? {
            None => self.subjects.infer(&model.name),
            Some(version) => self.subjects.infer_version(&model.name, version),
        })
    }

    async fn version(&self, model: &ModelRef) -> Result<Option<ModelVersion>, Error> {
        Ok(match &model.version {
            None => None,
            Some(VersionRef::Version(version)) => Some(*version),
            Some(VersionRef::Alias(_)) => Some(self.catalogue().registry().resolve(model).await?.version),
        })
    }

    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue::new(&self.storage, |error| output::say(&format!("left out: {error}")))
    }

    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::new(&self.storage, &self.subjects)
    }

    pub(crate) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}
