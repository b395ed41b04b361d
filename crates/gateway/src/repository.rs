//! The model repository of Triton's clients: the registry is the repository, a deployment is what is loaded.

use std::time::Duration;

use leat_catalogue::Catalogue;
use leat_contract::{LoadState, ModelName, ModelRef, VersionRef, WorkerLease};
use serde::Serialize;

use crate::refusal::Refusal;
use crate::workers::{Target, Workers};

/// How often is looked whether nobody answers any more.
const ABSENT_POLL: Duration = Duration::from_millis(50);
/// Workers let go of a model within this time, or are stuck.
const ABSENT_PATIENCE: Duration = Duration::from_secs(10);

/// One version of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IndexEntry {
    pub(crate) name: String,
    pub(crate) version: String,
    /// `READY`, `LOADING` or `UNAVAILABLE`.
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

/// Every version in the registry and how the workers stand to it, or only those that a worker answers for.
///
/// # Errors
/// When the broker cannot be asked.
pub(crate) async fn index(catalogue: &Catalogue, only_ready: bool) -> Result<Vec<IndexEntry>, Refusal> {
    let manifests = catalogue.registry().all().await?;
    let live = catalogue.live_workers().await?;
    let entries = manifests.iter().map(|manifest| {
        let (state, reason) = state(&live, &manifest.model, manifest.version);
        let (name, version) = (manifest.model.to_string(), manifest.version.to_string());
        IndexEntry { name, version, state, reason }
    });
    Ok(entries.filter(|entry| !only_ready || entry.state == "READY").collect())
}

/// Sends all live traffic of a model to the version that is named, and waits until the workers have followed. Without a version a deployed
/// model stays as it is, so that a client may ask as often as it likes, one that was unloaded comes back as it was, and of any other the newest
/// version is served.
///
/// # Errors
/// 404 for a version that does not exist, what a worker says when it cannot load it, 503 when none follows in time.
pub(crate) async fn load(
    catalogue: &Catalogue,
    model: &str,
    version: Option<&str>,
    timeout: Duration,
) -> Result<(), Refusal> {
    let name = name(model)?;
    let version = version.map(|version| version_ref(&name, version)).transpose()?;
    let entry = if version.is_some() {
        let manifest = catalogue.registry().resolve(&ModelRef { name, version }).await?;
        catalogue.load(&manifest).await?
    } else {
        catalogue.load_again(&name).await?
    };
    catalogue.wait_until_served(&entry, timeout).await?;
    Ok(())
}

/// Ends the deployment of a model and waits until no worker answers for it.
///
/// # Errors
/// 404 when it is not deployed, 503 when a worker goes on answering.
pub(crate) async fn unload(catalogue: &Catalogue, workers: &Workers, model: &str) -> Result<(), Refusal> {
    let name = name(model)?;
    catalogue.deployments().remove(&name).await?;
    let target = Target::live(name);
    let gone = async {
        while !workers.is_absent(&target).await {
            tokio::time::sleep(ABSENT_POLL).await;
        }
    };
    tokio::time::timeout(ABSENT_PATIENCE, gone).await.map_err(|_| {
        let message = format!("{target} is no longer deployed, but a worker answers still");
        Refusal::new(leat_contract::ErrorCode::Unavailable, message)
    })
}

/// How the workers stand to a version: one that answers counts for all.
pub(crate) fn state(
    live: &[WorkerLease],
    model: &ModelName,
    version: leat_contract::ModelVersion,
) -> (&'static str, String) {
    let loaded: Vec<_> = live.iter().filter_map(|lease| lease.loaded(model, version)).collect();
    let has = |state| loaded.iter().any(|loaded| loaded.state == state);
    if has(LoadState::Ready) {
        return ("READY", String::new());
    }
    if has(LoadState::Loading) {
        return ("LOADING", String::new());
    }
    let failure = loaded.iter().find_map(|loaded| loaded.error.as_ref());
    ("UNAVAILABLE", failure.map_or_else(|| "unloaded".to_owned(), |error| error.message.clone()))
}

fn name(model: &str) -> Result<ModelName, Refusal> {
    let short: String = model.chars().take(64).collect();
    model.parse().map_err(|_| Refusal::not_found(format!("no such model: {short:?}")))
}

fn version_ref(name: &ModelName, version: &str) -> Result<VersionRef, Refusal> {
    if let Ok(number) = version.parse() {
        return Ok(VersionRef::Version(number));
    }
    let short: String = version.chars().take(64).collect();
    let unknown = |_| Refusal::not_found(format!("no such model version: {name}@{short}"));
    version.parse().map(VersionRef::Alias).map_err(unknown)
}
