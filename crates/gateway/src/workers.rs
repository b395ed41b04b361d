//! Asking the workers: one request on a subject, one reply, and what silence means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::{AliasName, ErrorCode, ModelMetadata, ModelName, ModelVersion, Subjects};
use leat_messaging::{Connection, Error as MessagingError, Headers, Reply};
use tokio::runtime::Handle;

use crate::payloads::Payloads;
use crate::refusal::Refusal;
use crate::route::Named;
use crate::served::Served;

/// A worker refuses what is late by itself; this much longer is waited for that refusal.
pub(crate) const LATE: Duration = Duration::from_millis(250);
/// A worker answers at once what it is; one that does not is as good as absent.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// Workers come back within this time, or not soon.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

/// Routes change a moment before the alias that follows them: so long is waited for an alias whose version is served no more.
const ALIAS_LAG: Duration = Duration::from_secs(1);
/// How long to wait for news before the alias is tried again.
const ALIAS_PAUSE: Duration = Duration::from_millis(20);

/// A model that may be served, and the version when it is not the live route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) model: ModelName,
    pub(crate) version: Option<ModelVersion>,
    /// The alias by which the version was found.
    pub(crate) alias: Option<AliasName>,
}

impl Target {
    /// The live route of a model.
    pub(crate) fn live(model: ModelName) -> Self {
        Self { model, version: None, alias: None }
    }
}

/// What goes with one request, in however many parts it is asked: how long it may take since it was begun, and the headers that lead to its
/// caller.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    begun: Instant,
    pub(crate) timeout: Duration,
    pub(crate) headers: Headers,
}

impl Call {
    /// One that begins now.
    pub(crate) fn new(timeout: Duration, headers: Headers) -> Self {
        Self { begun: Instant::now(), timeout, headers }
    }

    /// The same with a further header.
    pub(crate) fn with(&self, name: &'static str, value: impl AsRef<str>) -> Self {
        Self { headers: self.headers.clone().with(name, value), ..*self }
    }

    /// The time that is left.
    ///
    /// # Errors
    /// 504 when there is none.
    pub(crate) fn left(&self) -> Result<Duration, Refusal> {
        let left = self.timeout.saturating_sub(self.begun.elapsed());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    /// What it means when the time is over.
    pub(crate) fn late(&self) -> Refusal {
        let message = format!(
            "no worker answered within {:?} (setting gateway.request_timeout_ms, unless the request says how long it waits)",
            self.timeout
        );
        Refusal::new(ErrorCode::DeadlineExceeded, message)
    }
}

/// Those who answer on the subjects.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    inference: Connection,
    /// Used while `inference` is lost.
    spare: Connection,
    control: Connection,
    subjects: Subjects,
    pub(crate) served: Served,
    pub(crate) payloads: Payloads,
}

impl Workers {
    /// Requests for inference go over `inference`, and their replies come over it; see [`Workers::over`].
    pub(crate) fn new(
        inference: Connection,
        control: Connection,
        subjects: Subjects,
        served: Served,
        payloads: Payloads,
    ) -> Self {
        Self { spare: inference.clone(), inference, control, subjects, served, payloads }
    }

    /// The same workers, asked over another connection, and over that of [`Workers::new`] only while the other is lost.
    pub(crate) fn over(&self, inference: Connection) -> Self {
        Self { inference, ..self.clone() }
    }

    /// The thread that asks them with the fewest detours.
    pub(crate) fn runtime(&self) -> Handle {
        self.inference.runtime()
    }

    /// The model and version that a path or message names; a version that is no number is an alias.
    ///
    /// # Errors
    /// 404 for a name that no model can have, and for an alias that points nowhere.
    pub(crate) fn target(&self, named: &Named) -> Result<Target, Refusal> {
        let unknown = || self.unknown(format!("no such model: {}", display(named)));
        let model: ModelName = named.model.parse().map_err(|_| unknown())?;
        let Some(version) = named.version.as_deref().filter(|version| !version.is_empty()) else {
            return Ok(Target::live(model));
        };
        if let Ok(version) = version.parse() {
            return Ok(Target { model, version: Some(version), alias: None });
        }
        let alias: AliasName = version.parse().map_err(|_| unknown())?;
        let version = self.served.alias(&model, &alias).ok_or_else(unknown)?;
        Ok(Target { model, version: Some(version), alias: Some(alias) })
    }

    /// The most bytes that one message may have. Headers count too, so a little is kept for them.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        self.inference.payload_bytes_max().saturating_sub(1024)
    }

    /// Asks for a prediction.
    ///
    /// # Errors
    /// What the worker refuses, 404 or 503 when none is there, 504 when none answers.
    pub(crate) async fn infer(&self, target: &Target, payload: Bytes, call: &Call) -> Result<Bytes, Refusal> {
        self.reply(target, payload, call).await.map(Reply::into_payload)
    }

    /// Asks for a prediction and gives the reply with its headers.
    ///
    /// # Errors
    /// As [`Workers::infer`].
    pub(crate) async fn reply(&self, target: &Target, payload: Bytes, call: &Call) -> Result<Reply, Refusal> {
        match &target.alias {
            Some(alias) => self.reply_by_alias((target, alias), payload, call).await,
            None => self.ask(target, payload, call).await?.ok_or_else(|| self.absent(target)),
        }
    }

    /// Asks for a prediction; gives nothing when nobody is there.
    async fn ask(&self, target: &Target, payload: Bytes, call: &Call) -> Result<Option<Reply>, Refusal> {
        let subject = match target.version {
            None => self.subjects.infer(&target.model),
            Some(version) => self.subjects.infer_version(&target.model, version),
        };
        let timeout = call.left()? + LATE;
        let asked = self.connected().request_with(subject, call.headers.clone(), payload, timeout).await;
        match asked {
            Ok(reply) => Ok(Some(reply)),
            Err(MessagingError::NoResponders { .. }) => Ok(None),
            Err(MessagingError::Timeout { .. }) => Err(call.late()),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Workers::reply`], for a version that was found by its alias.
    async fn reply_by_alias(
        &self,
        (target, alias): (&Target, &AliasName),
        payload: Bytes,
        call: &Call,
    ) -> Result<Reply, Refusal> {
        let (mut target, until) = (target.clone(), Instant::now() + ALIAS_LAG);
        loop {
            if let Some(reply) = self.ask(&target, payload.clone(), call).await? {
                target.version.into_iter().for_each(|version| {
                    self.served.alias_answered(&target.model, alias, version);
                });
                return Ok(reply);
            }
            for former in self.former(&target) {
                if let Some(reply) = self.ask(&former, payload.clone(), call).await? {
                    return Ok(reply);
                }
            }
            if Instant::now() >= until || self.served.deployment(&target.model).is_none() {
                return Err(self.absent(&target));
            }
            // Workers may follow new routes sooner than this gateway learns of them.
            let _ = tokio::time::timeout(ALIAS_PAUSE, self.served.change()).await;
            target.version = self.served.alias(&target.model, alias).or(target.version);
        }
    }

    /// The versions that an alias meant before: they answer until a worker has the one that is meant now.
    fn former(&self, target: &Target) -> Vec<Target> {
        let Some(alias) = &target.alias else { return Vec::new() };
        if !self.served.names(&target.model, target.version) {
            return Vec::new();
        }
        let before = self.served.alias_before(&target.model, alias).into_iter();
        let others = before.filter(|version| Some(*version) != target.version);
        others.map(|version| Target { version: Some(version), ..target.clone() }).collect()
    }

    /// The connection that calls go through right now, if any does.
    fn connected(&self) -> &Connection {
        let is_lost = !self.inference.is_connected();
        if is_lost && self.spare.is_connected() { &self.spare } else { &self.inference }
    }

    /// What a model takes and gives.
    ///
    /// # Errors
    /// 404 or 503 when no worker serves the model, or not that version.
    pub(crate) async fn metadata(&self, target: &Target) -> Result<ModelMetadata, Refusal> {
        self.answering(target).await.map(|(_, metadata)| metadata)
    }

    /// What a model takes and gives, as it was said before if it was: good for reading a request, not for telling whether the model is
    /// served. With whom to ask then: of an alias, the version that was described comes first.
    ///
    /// # Errors
    /// As [`Workers::metadata`].
    pub(crate) async fn signature(&self, target: &Target) -> Result<(Target, Arc<ModelMetadata>), Refusal> {
        if let Some(known) = self.served.described(&target.model, target.version) {
            return Ok((target.clone(), known));
        }
        let (target, metadata) = self.answering(target).await?;
        let metadata = Arc::new(metadata);
        self.served.keep(&metadata);
        Ok((target, metadata))
    }

    async fn answering(&self, target: &Target) -> Result<(Target, ModelMetadata), Refusal> {
        for target in std::iter::once(target.clone()).chain(self.former(target)) {
            if let Some(metadata) = self.ask_metadata(&target).await? {
                return Ok((target, metadata));
            }
        }
        Err(self.absent(target))
    }

    /// Whether it is certain that nobody answers.
    pub(crate) async fn is_absent(&self, target: &Target) -> bool {
        matches!(self.ask_metadata(target).await, Ok(None))
    }

    /// What a worker says of a model; nothing when nobody is there.
    async fn ask_metadata(&self, target: &Target) -> Result<Option<ModelMetadata>, Refusal> {
        let Some(version) = target.version else {
            return self.described_on(self.subjects.metadata(&target.model)).await;
        };
        let of_version = self.described_on(self.subjects.metadata_version(&target.model, version)).await?;
        if of_version.is_some() {
            return Ok(of_version);
        }
        // Workers of a contract before 1.6 describe a model, whatever its version.
        let of_model = self.described_on(self.subjects.metadata(&target.model)).await?;
        Ok(of_model.filter(|model| model.version.is_none() && model.versions.contains(&version.to_string())))
    }

    async fn described_on(&self, subject: String) -> Result<Option<ModelMetadata>, Refusal> {
        match self.control.request(subject, Bytes::new(), METADATA_TIMEOUT).await {
            Ok(reply) => Ok(Some(reply.json()?)),
            Err(MessagingError::NoResponders { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a model is served: 404 when nobody ever said that it should be, else why not.
    pub(crate) fn absent(&self, target: &Target) -> Refusal {
        if self.served.names(&target.model, target.version) {
            let message = format!("no worker serves {target} at the moment");
            return Refusal::new(ErrorCode::Unavailable, message).retry_after(ABSENT_PAUSE);
        }
        if target.alias.is_some() && self.served.names(&target.model, None) {
            let message = format!("{target}, to which the alias points, is served no more");
            return Refusal::new(ErrorCode::Unavailable, message).retry_after(ABSENT_PAUSE);
        }
        self.unknown(format!("no such model: {target} is not deployed"))
    }

    /// 404 for what is not there, and 503 as long as it is not known what is there.
    fn unknown(&self, message: String) -> Refusal {
        if self.served.is_listed() {
            return Refusal::not_found(message);
        }
        let message = "the gateway does not know yet what is served";
        Refusal::new(ErrorCode::Unavailable, message).retry_after(ABSENT_PAUSE)
    }

    pub(crate) fn control(&self) -> &Connection {
        &self.control
    }

    pub(crate) fn subjects(&self) -> &Subjects {
        &self.subjects
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            None => self.model.fmt(formatter),
            Some(version) => write!(formatter, "{}@{version}", self.model),
        }
    }
}

/// A name as it was given, which may be anything.
fn display(named: &Named) -> String {
    let short = |text: &str| text.chars().take(64).collect::<String>();
    match &named.version {
        None => format!("{:?}", short(&named.model)),
        Some(version) => format!("{:?}, version {:?}", short(&named.model), short(version)),
    }
}

#[cfg(test)]
mod tests {
    use leat_contract::assets::AssetRole;
    use leat_messaging::{ConnectOptions, Storage};
    use leat_test_harness::{broker, eventually};

    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn workers_of_an_older_contract_describe_their_versions_with_their_model() {
        let broker = broker().await;
        let connection = Connection::connect(&ConnectOptions::new(broker.url(), "test")).await.unwrap();
        let subjects = Subjects::new("test").unwrap();
        let objects = Storage::open(&connection, &subjects).objects(AssetRole::Payloads);
        let payloads = Payloads::new(objects, 0, Memory::new(0));
        let model: ModelName = "digits".parse().unwrap();
        let mut asked = connection.subscribe(subjects.metadata(&model)).await.unwrap();
        let (others, older) = (
            connection.clone(),
            r#"{"name":"digits","versions":["1","2"],"platform":"leat_native",
            "inputs":[],"outputs":[],"labels":[],"features":[],"example":null}"#,
        );
        tokio::spawn(async move {
            while let Some(message) = asked.next().await {
                others.publish(message.reply().unwrap().clone(), older).await.unwrap();
            }
        });
        let workers = Workers::new(connection.clone(), connection, subjects, Served::of_nobody(), payloads);
        let metadata = async |number: u32| {
            let version = ModelVersion::new(number);
            workers.metadata(&Target { model: model.clone(), version: version.ok(), alias: None }).await
        };
        assert_eq!(metadata(2).await.unwrap().versions, ["1", "2"]);
        assert_eq!(metadata(3).await.unwrap_err().code, ErrorCode::NotFound);
    }

    #[tokio::test]
    async fn a_lost_connection_is_stood_in_for_by_another_one() {
        let (mut lost, kept) = (broker().await, broker().await);
        let connect =
            async |url: String| Connection::connect(&ConnectOptions::new(url, "test")).await.unwrap();
        let (inference, spare) = (connect(lost.url()).await, connect(kept.url()).await);
        let subjects = Subjects::new("test").unwrap();
        let objects = Storage::open(&spare, &subjects).objects(AssetRole::Payloads);
        let payloads = Payloads::new(objects, 0, Memory::new(0));
        let workers = Workers::new(spare.clone(), spare, subjects, Served::of_nobody(), payloads);
        let workers = workers.over(inference.clone());
        lost.kill().await;
        eventually("the connection is lost", async || (!inference.is_connected()).then_some(())).await;
        let target = Target::live("digits".parse().unwrap());
        let call = Call::new(Duration::from_secs(5), Headers::new());
        let refusal = workers.infer(&target, Bytes::from_static(b"{}"), &call).await.unwrap_err();
        // It came to a broker where nobody serves the model.
        assert_eq!(refusal.code, ErrorCode::NotFound);
    }
}
