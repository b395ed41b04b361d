//! What should be served, who holds a lease, and how accurate each version was when it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leat_contract::{
    AssetRole, Deployment, LoadState, Manifest, ModelName, ModelVersion, WorkerId, WorkerLease,
};
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
    /// The versions that workers cannot load, and none has loaded, with what one says.
    pub(crate) unloadable: BTreeMap<(ModelName, ModelVersion), String>,
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
        let leases: Vec<_> = readable(&self.leases).await?.into_iter().map(|entry| entry.value).collect();
        let unloadable = unloadable(&leases);
        let leased = leases.into_iter().map(|lease| lease.worker).collect();
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
        Ok(Desired { deployments, revisions, leased, unloadable, references, is_known: true })
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

fn unloadable(leases: &[WorkerLease]) -> BTreeMap<(ModelName, ModelVersion), String> {
    let all = || leases.iter().flat_map(|lease| &lease.loaded);
    let failed = all().filter(|loaded| loaded.state == LoadState::Failed);
    let reason = |failed: &leat_contract::LoadedVersion| {
        failed.error.as_ref().map_or("no reason was given", |error| error.message.as_str()).to_owned()
    };
    let mut versions: BTreeMap<_, _> =
        failed.map(|failed| ((failed.model.clone(), failed.version), reason(failed))).collect();
    for ready in all().filter(|loaded| loaded.state == LoadState::Ready) {
        versions.remove(&(ready.model.clone(), ready.version));
    }
    versions
}

#[cfg(test)]
mod tests {
    use leat_contract::{Digest, ErrorCode, ErrorDetail, LoadedVersion};

    use super::*;

    #[test]
    fn a_version_that_one_worker_has_loaded_can_be_loaded() {
        let lease = |worker: &str, states: [LoadState; 2]| {
            let loaded = (1..).zip(states).map(|(number, state)| LoadedVersion {
                model: "digits".parse().unwrap(),
                version: ModelVersion::new(number).unwrap(),
                digest: Digest::new(format!("sha256-{number:064x}")).unwrap(),
                state,
                error: (state == LoadState::Failed)
                    .then(|| ErrorDetail::new(ErrorCode::Internal, format!("damaged on {worker}"))),
            });
            WorkerLease {
                worker: worker.parse().unwrap(),
                started_at: 0,
                loaded: loaded.collect(),
                deployment_revisions: BTreeMap::new(),
                labels: BTreeMap::new(),
                renewed_at: 0,
            }
        };
        let leases = [
            lease("w1", [LoadState::Failed, LoadState::Failed]),
            lease("w2", [LoadState::Ready, LoadState::Loading]),
        ];
        let told: Vec<_> =
            unloadable(&leases).into_iter().map(|((_, version), why)| (version.get(), why)).collect();
        assert_eq!(told, [(2, "damaged on w1".to_owned())]);
    }
}
