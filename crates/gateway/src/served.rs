//! What should be served, as it stands at the broker: followed in the background, looked at without waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use leat_catalogue::PRODUCTION;
use leat_contract::{Alias, AliasName, AssetRole, Deployment, ModelMetadata, ModelName, ModelVersion, Route};
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
    aliases: BTreeMap<(ModelName, AliasName), Pointed>,
    /// What versions take and give, as workers said.
    described: BTreeMap<(ModelName, ModelVersion), Arc<ModelMetadata>>,
}

/// As many versions that an alias meant before are remembered.
const BEFORE_MAX: usize = 4;

/// Where an alias points, and where it did before, the latest first, since the last version that answered.
#[derive(Debug, Clone)]
struct Pointed {
    version: ModelVersion,
    before: Vec<ModelVersion>,
}

impl Pointed {
    fn at(version: ModelVersion, former: Option<&Self>) -> Self {
        let Some(former) = former else { return Self { version, before: Vec::new() } };
        let mut before = former.before.clone();
        before.insert(0, former.version);
        before.retain(|before| *before != version);
        before.truncate(BEFORE_MAX);
        Self { version, before }
    }
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
        self.read(|known| Some(known.aliases.get(&(model.clone(), alias.clone()))?.version))
    }

    /// The versions that it pointed at before, the latest first, until the one that it points at has answered: those that this gateway has
    /// seen. Of the alias for what is in production the deployment always tells one more.
    pub(crate) fn alias_before(&self, model: &ModelName, alias: &AliasName) -> Vec<ModelVersion> {
        self.read(|known| {
            let pointed = known.aliases.get(&(model.clone(), alias.clone()));
            let mut before = pointed.map(|pointed| pointed.before.clone()).unwrap_or_default();
            let is_followed = alias.as_str() == PRODUCTION;
            let previous = known.deployments.get(model).and_then(|deployment| deployment.previous.as_deref());
            let previous = previous.filter(|_| is_followed).and_then(Route::principal);
            before.extend(previous.map(|route| route.version));
            before
        })
    }

    /// A version that an alias points at has answered: what it pointed at before does not matter any more.
    pub(crate) fn alias_answered(&self, model: &ModelName, alias: &AliasName, version: ModelVersion) {
        let key = (model.clone(), alias.clone());
        let is_over = |pointed: &Pointed| pointed.version == version && !pointed.before.is_empty();
        if self.read(|known| known.aliases.get(&key).is_some_and(is_over)) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(pointed) = known.aliases.get_mut(&key).filter(|pointed| is_over(pointed)) {
                pointed.before.clear();
            }
        }
    }

    /// What a version takes and gives, or the one with the largest share of the live route, when a worker has said so since the deployment
    /// was changed.
    pub(crate) fn described(
        &self,
        model: &ModelName,
        version: Option<ModelVersion>,
    ) -> Option<Arc<ModelMetadata>> {
        self.read(|known| {
            let of_model = || Some(known.deployments.get(model)?.principal()?.version);
            let version = version.or_else(of_model)?;
            known.described.get(&(model.clone(), version)).cloned()
        })
    }

    /// Keeps what a worker said of a version. What models say that answer together depends on all of them, so it is not kept.
    pub(crate) fn keep(&self, metadata: &Arc<ModelMetadata>) {
        let version = metadata.version.as_ref().and_then(|version| version.parse().ok());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let deployment = known.deployments.get(&metadata.name);
        let is_alone = deployment.is_some_and(|deployment| deployment.pipeline.is_none());
        if let Some(version) = version.filter(|_| is_alone) {
            known.described.insert((metadata.name.clone(), version), metadata.clone());
        }
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
            known.described.retain(|(described, _), _| *described != model);
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
                Some(Alias { version, .. }) => {
                    let pointed = Pointed::at(version, known.aliases.get(&key));
                    known.aliases.insert(key, pointed)
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn versions<const N: usize>(numbers: [u32; N]) -> Vec<ModelVersion> {
        numbers.map(|number| ModelVersion::new(number).unwrap()).to_vec()
    }

    #[test]
    fn an_alias_remembers_where_it_pointed_until_the_last_version_answers() {
        let served = Served::of_nobody();
        let (model, alias): (ModelName, AliasName) = ("digits".parse().unwrap(), "stable".parse().unwrap());
        let moves = |number: u32| {
            let mut known = served.known.write().unwrap();
            let key = (model.clone(), alias.clone());
            let pointed = Pointed::at(ModelVersion::new(number).unwrap(), known.aliases.get(&key));
            known.aliases.insert(key, pointed);
        };
        let before = || served.alias_before(&model, &alias);
        let answered = |number: u32| {
            served.alias_answered(&model, &alias, ModelVersion::new(number).unwrap());
        };
        moves(1);
        assert_eq!(before(), versions([]));
        moves(2);
        moves(3);
        assert_eq!(before(), versions([2, 1]));
        answered(2);
        assert_eq!(before(), versions([2, 1]), "that is not the one it points at");
        moves(3);
        assert_eq!(before(), versions([2, 1]));
        moves(1);
        assert_eq!(before(), versions([3, 2]));
        answered(1);
        assert_eq!(before(), versions([]));
        (2..20).for_each(moves);
        assert_eq!(before(), versions([18, 17, 16, 15]));
    }
}
