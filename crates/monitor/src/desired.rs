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
    /// The canaries that no worker of theirs can load, with what one says.
    pub(crate) unloadable: BTreeMap<ModelName, String>,
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
        let reasons =
            deployments.iter().filter_map(|one| Some((one.model.clone(), unloadable(one, &leases)?)));
        let unloadable = reasons.collect();
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

/// Why no worker that is to serve a canary can load it: every one says so, and none that trying again may help.
fn unloadable(deployment: &Deployment, leases: &[WorkerLease]) -> Option<String> {
    let route = deployment.route(deployment.canary.as_ref()?.version)?;
    let mut reason = None;
    for lease in leases.iter().filter(|lease| deployment.selects(&lease.labels)) {
        let loaded = lease.loaded(&deployment.model, route.version)?;
        let error = loaded.error.as_ref().filter(|error| !error.retryable)?;
        if loaded.state != LoadState::Failed || loaded.digest != route.digest {
            return None;
        }
        reason = Some(error.message.clone());
    }
    reason
}

#[cfg(test)]
mod tests {
    use leat_contract::{Canary, Digest, ErrorCode, ErrorDetail, LoadedVersion, Route};

    use super::*;

    fn route(number: u32, weight: u32) -> Route {
        let digest = Digest::new(format!("sha256-{number:064x}")).unwrap();
        Route { version: ModelVersion::new(number).unwrap(), digest, weight }
    }

    fn deployment() -> Deployment {
        let mut deployment = Deployment::new("digits".parse().unwrap(), vec![route(1, 90), route(2, 10)]);
        deployment.canary = Some(Canary::new(route(2, 0).version, 0));
        deployment.selector = BTreeMap::from([("pool".to_owned(), "a".to_owned())]);
        deployment
    }

    /// What a worker of a pool says of the canary.
    fn lease(pool: &str, state: LoadState, code: ErrorCode) -> WorkerLease {
        let Route { version, digest, .. } = route(2, 10);
        let error = (state == LoadState::Failed).then(|| ErrorDetail::new(code, "damaged"));
        WorkerLease {
            worker: "w".parse().unwrap(),
            started_at: 0,
            loaded: vec![LoadedVersion { model: deployment().model, version, digest, state, error }],
            deployment_revisions: BTreeMap::new(),
            labels: BTreeMap::from([("pool".to_owned(), pool.to_owned())]),
            renewed_at: 0,
        }
    }

    #[test]
    fn a_canary_cannot_be_loaded_when_every_worker_of_its_pool_says_so() {
        use LoadState::{Failed, Loading, Ready};
        let damaged = |pool| lease(pool, Failed, ErrorCode::InvalidArgument);
        let why = |leases: &[WorkerLease]| unloadable(&deployment(), leases);
        assert_eq!(why(&[damaged("a"), damaged("a")]).as_deref(), Some("damaged"));
        assert_eq!(why(&[]), None);
        assert_eq!(why(&[damaged("b")]), None, "it is not for them");
        for state in [Ready, Loading] {
            assert_eq!(why(&[damaged("a"), lease("a", state, ErrorCode::Internal)]), None);
            assert!(why(&[damaged("a"), lease("b", state, ErrorCode::Internal)]).is_some());
        }
        assert_eq!(why(&[lease("a", Failed, ErrorCode::Unavailable)]), None, "another try may help");
        let mut other = damaged("a");
        other.loaded[0].digest = route(9, 0).digest;
        assert_eq!(why(&[other]), None, "another blob of that number");
        let mut silent = damaged("a");
        silent.loaded.clear();
        assert_eq!(why(&[damaged("a"), silent]), None, "it has not begun");
        assert_eq!(unloadable(&Deployment { canary: None, ..deployment() }, &[damaged("a")]), None);
    }
}
