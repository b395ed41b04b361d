use std::collections::BTreeMap;

use leat_contract::{Alias, AliasName, AssetRole, Manifest, ModelName, ModelRef, ModelVersion, VersionRef};
use leat_messaging::{Error as MessagingError, KeyValue, Objects, Storage};
use leat_service_runtime::unix_ms;

use crate::readable::readable;
use crate::{Error, LeftOut};

/// Versions and aliases.
#[derive(Debug)]
pub struct Registry {
    manifests: KeyValue<Manifest>,
    aliases: KeyValue<Alias>,
    blobs: Objects,
    left_out: LeftOut,
}

impl Registry {
    /// The registry in this storage.
    pub fn new(storage: &Storage, left_out: LeftOut) -> Self {
        Self {
            manifests: storage.key_value(AssetRole::Registry),
            aliases: storage.key_value(AssetRole::Registry),
            blobs: storage.objects(AssetRole::Models),
            left_out,
        }
    }

    /// Every version of every model that is not removed, in order.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn all(&self) -> Result<Vec<Manifest>, Error> {
        self.matching("*.version.*").await
    }

    /// Every version of a model that is not removed, oldest first.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn versions(&self, model: &ModelName) -> Result<Vec<Manifest>, Error> {
        self.matching(&format!("{model}.version.*")).await
    }

    /// One version, unless there is none or it is removed.
    ///
    /// # Errors
    /// When the broker cannot be asked or the document is none.
    pub async fn get(&self, model: &ModelName, version: ModelVersion) -> Result<Option<Manifest>, Error> {
        let entry = self.manifests.get(&Manifest::key(model, version)).await?;
        Ok(entry.map(|entry| entry.value).filter(|manifest| !manifest.deleted))
    }

    /// The aliases of every model.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn aliases(&self) -> Result<BTreeMap<(ModelName, ModelVersion), Vec<AliasName>>, Error> {
        let mut by_version: BTreeMap<_, Vec<AliasName>> = BTreeMap::new();
        for entry in readable(&self.aliases, "*.alias.*", self.left_out).await? {
            if let Some((model, alias)) = Alias::parse_key(&entry.key) {
                by_version.entry((model, entry.value.version)).or_default().push(alias);
            }
        }
        Ok(by_version)
    }

    /// The version that a reference means: the one it names, the one its alias points at, or the latest.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] that lists what there is.
    pub async fn resolve(&self, reference: &ModelRef) -> Result<Manifest, Error> {
        let versions = self.versions(&reference.name).await?;
        let wanted = match &reference.version {
            Some(VersionRef::Version(version)) => Some(*version),
            Some(VersionRef::Alias(alias)) => {
                self.aliases.get(&Alias::key(&reference.name, alias)).await?.map(|entry| entry.value.version)
            }
            None => versions.last().map(|manifest| manifest.version),
        };
        let known: Vec<ModelVersion> = versions.iter().map(|manifest| manifest.version).collect();
        let found = versions.into_iter().find(|manifest| Some(manifest.version) == wanted);
        found.ok_or_else(|| Error::UnknownVersion { reference: reference.clone(), known })
    }

    /// Moves an alias, whatever it pointed at.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn move_alias(
        &self,
        model: &ModelName,
        alias: &AliasName,
        version: ModelVersion,
    ) -> Result<(), Error> {
        self.aliases.put(&Alias::key(model, alias), &Alias { version, updated_at: unix_ms() }).await?;
        Ok(())
    }

    /// Removes a version: marks it, so that its number is never used again, and deletes its aliases and, when no other version is
    /// made of the same bytes, its blob.
    ///
    /// # Errors
    /// [`MessagingError::Conflict`] when someone else changed it at the same time.
    pub(crate) async fn remove(&self, manifest: &Manifest) -> Result<(), Error> {
        let key = Manifest::key(&manifest.model, manifest.version);
        let missing = || MessagingError::Missing { what: key.clone() };
        let entry = self.manifests.get(&key).await?.ok_or_else(missing)?;
        let removed = Manifest { deleted: true, ..entry.value };
        self.manifests.update(&key, &removed, entry.revision).await?;
        let named = (manifest.model.clone(), manifest.version);
        for alias in self.aliases().await?.remove(&named).unwrap_or_default() {
            self.aliases.delete(&Alias::key(&manifest.model, &alias)).await?;
        }
        // One that cannot be read may be made of these bytes: then the blob stays, and the error says why.
        let is_needed = async || -> Result<bool, Error> {
            let others = self.manifests.entries_matching("*.version.*").await?;
            Ok(others.iter().any(|other| !other.value.deleted && other.value.digest == manifest.digest))
        };
        self.blobs.delete_unless(manifest.digest.as_str(), is_needed).await?;
        Ok(())
    }

    async fn matching(&self, filter: &str) -> Result<Vec<Manifest>, Error> {
        let entries = readable(&self.manifests, filter, self.left_out).await?;
        let mut manifests: Vec<Manifest> = entries.into_iter().map(|entry| entry.value).collect();
        manifests.retain(|manifest| !manifest.deleted);
        manifests.sort_by(|left, right| (&left.model, left.version).cmp(&(&right.model, right.version)));
        Ok(manifests)
    }
}
