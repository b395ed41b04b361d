//! What should be served, as it stands at the broker: followed in the background, looked at without waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use leat_contract::{Alias, AliasName, AssetRole, Deployment, ModelName, ModelVersion};
use leat_messaging::{Change, Error, KeyValue, Storage, Watched};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::warn;

/// Those of the deployments and of the aliases.
const BUCKETS: usize = 2;

/// The deployments and aliases. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    known: Arc<RwLock<Known>>,
    /// How many of the two buckets have been read whole.
    listed: watch::Sender<usize>,
    /// Told after every change.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    deployments: BTreeMap<ModelName, Deployment>,
    aliases: BTreeMap<(ModelName, AliasName), ModelVersion>,
}

impl Served {
    /// The deployment of a model, if it has one.
    pub(crate) fn deployment(&self, model: &ModelName) -> Option<Deployment> {
        self.read(|known| known.deployments.get(model).cloned())
    }

    /// The models that should be served, in the order of their names.
    pub(crate) fn models(&self) -> Vec<ModelName> {
        self.read(|known| known.deployments.keys().cloned().collect())
    }

    /// Whether a deployment has the model, and the version when one is named.
    pub(crate) fn names(&self, model: &ModelName, version: Option<ModelVersion>) -> bool {
        self.read(|known| {
            let deployment = known.deployments.get(model);
            deployment.is_some_and(|d| version.is_none_or(|version| d.route(version).is_some()))
        })
    }

    /// The version that an alias points at.
    pub(crate) fn alias(&self, model: &ModelName, alias: &AliasName) -> Option<ModelVersion> {
        self.read(|known| known.aliases.get(&(model.clone(), alias.clone())).copied())
    }

    /// Waits until something of it changes.
    pub(crate) async fn change(&self) {
        let changed = self.changed.subscribe().changed().await;
        assert!(changed.is_ok(), "self holds the sender, so it cannot be gone");
    }

    /// Whether everything that is there has been read once. Before that, what is not known may be there all the same.
    pub(crate) fn is_listed(&self) -> bool {
        *self.listed.borrow() == BUCKETS
    }

    /// Waits until everything that is there has been read once.
    pub(crate) async fn listed(&self) {
        let mut listed = self.listed.subscribe();
        let all = listed.wait_for(|buckets| *buckets == BUCKETS).await;
        assert!(all.is_ok(), "self holds the sender, so it cannot be gone");
    }

    /// Follows the deployments for ever.
    pub(crate) async fn follow_deployments(self, storage: Storage) -> Result<(), Error> {
        let bucket: KeyValue<Deployment> = storage.key_value(AssetRole::Desired);
        self.follow(bucket, ">", |known, change| {
            let Ok(model) = change.key.parse::<ModelName>() else { return };
            match change.value {
                Some(deployment) => known.deployments.insert(model, deployment),
                None => known.deployments.remove(&model),
            };
        })
        .await
    }

    /// Follows the aliases for ever.
    pub(crate) async fn follow_aliases(self, storage: Storage) -> Result<(), Error> {
        let bucket: KeyValue<Alias> = storage.key_value(AssetRole::Registry);
        self.follow(bucket, "*.alias.*", |known, change| {
            let Some(key) = Alias::parse_key(&change.key) else { return };
            match change.value {
                Some(alias) => known.aliases.insert(key, alias.version),
                None => known.aliases.remove(&key),
            };
        })
        .await
    }

    async fn follow<T: Serialize + DeserializeOwned>(
        &self,
        bucket: KeyValue<T>,
        filter: &str,
        apply: impl Fn(&mut Known, Change<T>),
    ) -> Result<(), Error> {
        let mut watch = bucket.watch_matching(filter)?;
        let mut is_first = true;
        loop {
            match watch.next().await {
                Ok(Watched::Change(change)) => {
                    apply(&mut self.known.write().unwrap_or_else(PoisonError::into_inner), change);
                    self.changed.send_replace(());
                }
                Ok(Watched::Current) if is_first => {
                    is_first = false;
                    self.listed.send_modify(|buckets| *buckets += 1);
                }
                Ok(Watched::Current) => {}
                Err(error) => warn!(%error, "a document is passed over"),
            }
        }
    }

    /// One that has read everything, which is nothing.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        let served = Self::default();
        served.listed.send_replace(BUCKETS);
        served
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends something endless when the service stops.
pub(crate) async fn until<E>(
    stop: tokio_util::sync::CancellationToken,
    endless: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    stop.run_until_cancelled(endless).await.unwrap_or(Ok(()))
}
