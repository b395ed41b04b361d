//! What should be served, who holds a lease, and how accurate each version was when it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leat_contract::{AssetRole, Deployment, Manifest, ModelName, ModelVersion, WorkerId, WorkerLease};
use leat_messaging::{Entry, Error, KeyValue, Storage};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::conditions::ReferenceAccuracy;

/// The last listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    pub(crate) deployments: Vec<Deployment>,
    /// The revision of each deployment.
    pub(crate) revisions: BTreeMap<ModelName, u64>,
    pub(crate) leased: BTreeSet<WorkerId>,
    pub(crate) references: ReferenceAccuracy,
    /// Whether there has been a listing at all.
    pub(crate) is_known: bool,
}

impl Desired {
    /// Every deployment with its revision.
    pub(crate) fn with_revisions(&self) -> impl Iterator<Item = (&Deployment, u64)> {
        let revision = |deployment: &Deployment| self.revisions.get(&deployment.model).copied();
        self.deployments.iter().filter_map(move |deployment| Some((deployment, revision(deployment)?)))
    }
}

/// Lists again and again. A listing that fails leaves the last one in force: what is desired does not change because the
/// broker is away.
pub(crate) async fn follow(
    storage: Storage,
    pause: Duration,
    listings: watch::Sender<Desired>,
) -> Result<(), std::convert::Infallible> {
    let lister = Lister {
        deployments: storage.key_value(AssetRole::Desired),
        leases: storage.key_value(AssetRole::Actual),
        manifests: storage.key_value(AssetRole::Registry),
    };
    loop {
        let known = listings.borrow().references.clone();
        match lister.list(known).await {
            Ok(desired) => drop(listings.send_replace(desired)),
            Err(error) => tracing::warn!(%error, "cannot list what should be served; the last listing holds"),
        }
        tokio::time::sleep(pause).await;
    }
}

/// What can be read; one document that cannot hides none of the others.
async fn readable<T: Serialize + DeserializeOwned>(bucket: &KeyValue<T>) -> Result<Vec<Entry<T>>, Error> {
    let (entries, unreadable) = bucket.entries_readable().await?;
    for error in unreadable {
        tracing::warn!(%error, "a document is left out");
    }
    Ok(entries)
}

struct Lister {
    deployments: KeyValue<Deployment>,
    leases: KeyValue<WorkerLease>,
    manifests: KeyValue<Manifest>,
}

impl Lister {
    async fn list(&self, mut references: ReferenceAccuracy) -> Result<Desired, Error> {
        let listed = readable(&self.deployments).await?;
        let revisions = listed.iter().map(|entry| (entry.value.model.clone(), entry.revision)).collect();
        let deployments: Vec<Deployment> = listed.into_iter().map(|entry| entry.value).collect();
        let leased = readable(&self.leases).await?.into_iter().map(|entry| entry.value.worker).collect();
        for deployment in &deployments {
            for route in &deployment.routes {
                let version = (deployment.model.clone(), route.version);
                if !references.contains_key(&version)
                    && let Some(accuracy) = self.reference(&version.0, version.1).await?
                {
                    references.insert(version, accuracy);
                }
            }
        }
        Ok(Desired { deployments, revisions, leased, references, is_known: true })
    }

    /// Accuracy on held-out rows; a version never changes, so it is read once.
    async fn reference(&self, model: &ModelName, version: ModelVersion) -> Result<Option<f64>, Error> {
        let manifest = match self.manifests.get(&Manifest::key(model, version)).await {
            Err(error @ Error::Decode { .. }) => {
                tracing::warn!(%error, "a version is compared with nothing");
                None
            }
            manifest => manifest?,
        };
        Ok(manifest.and_then(|entry| entry.value.metrics.get("accuracy").copied()))
    }
}
