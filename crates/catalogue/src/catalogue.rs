use leat_contract::{Deployment, Manifest, ModelName, ModelRef};
use leat_messaging::{Entry, Storage};

use crate::{Deployments, Error, LeftOut, Registry};

/// The alias that follows the version with the largest share of the live traffic.
pub const PRODUCTION: &str = "production";

/// The registry and the deployments, changed together.
#[derive(Debug)]
pub struct Catalogue {
    pub(crate) storage: Storage,
    registry: Registry,
    deployments: Deployments,
}

impl Catalogue {
    /// The catalogue in this storage.
    pub fn new(storage: &Storage, left_out: LeftOut) -> Self {
        Self {
            storage: storage.clone(),
            registry: Registry::new(storage, left_out),
            deployments: Deployments::new(storage, left_out),
        }
    }

    /// Versions and aliases.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What should be served.
    pub fn deployments(&self) -> &Deployments {
        &self.deployments
    }

    /// Gives a version a share of the live traffic and leaves the rest to the others; a version that has all of it becomes
    /// the one in production. `adjust` may change what else the deployment says.
    ///
    /// # Errors
    /// As [`Deployments::route`].
    pub async fn deploy(
        &self,
        manifest: &Manifest,
        weight: u32,
        adjust: impl Fn(&mut Deployment),
    ) -> Result<Entry<Deployment>, Error> {
        let entry = self.deployments.route(manifest, weight, adjust).await?;
        if entry.value.routes.len() == 1 {
            self.point_production_at(&entry.value).await?;
        }
        Ok(entry)
    }

    /// Sends all live traffic to a version and moves the alias [`PRODUCTION`] there.
    ///
    /// # Errors
    /// As [`Deployments::route`].
    pub async fn promote(&self, manifest: &Manifest) -> Result<Entry<Deployment>, Error> {
        self.deploy(manifest, 100, |_| ()).await
    }

    /// As [`Catalogue::promote`]; a model that was taken off is served as it was before in everything but its routes.
    ///
    /// # Errors
    /// As [`Deployments::route`].
    pub async fn load(&self, manifest: &Manifest) -> Result<Entry<Deployment>, Error> {
        let former = self.deployments.removed(&manifest.model).await?;
        let entry = self.deployments.route_again(manifest, 100, (former, |_: &mut Deployment| ())).await?;
        self.point_production_at(&entry.value).await?;
        Ok(entry)
    }

    /// Sees to it that a model is served: a deployed one stays as it is, one that was taken off comes back as it was, and of any other the
    /// newest version is served.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] when it has none, otherwise as [`Deployments::route`].
    pub async fn load_again(&self, model: &ModelName) -> Result<Entry<Deployment>, Error> {
        if let Some(deployed) = self.deployments.get(model).await? {
            return Ok(deployed);
        }
        if let Some(restored) = self.deployments.restore(model).await? {
            self.point_production_at(&restored.value).await?;
            return Ok(restored);
        }
        let newest = ModelRef { name: model.clone(), version: None };
        self.load(&self.registry.resolve(&newest).await?).await
    }

    /// Goes back to the routes before the last change, and moves the alias [`PRODUCTION`] back too.
    ///
    /// # Errors
    /// As [`Deployments::rollback`].
    pub async fn rollback(&self, model: &ModelName) -> Result<Entry<Deployment>, Error> {
        let entry = self.deployments.rollback(model).await?;
        self.point_production_at(&entry.value).await?;
        Ok(entry)
    }

    /// Removes a version that no deployment needs: marks it, so that its number is never used again, and deletes its aliases and, when no
    /// other version is made of the same bytes, its blob.
    ///
    /// # Errors
    /// [`Error::Needed`], or when someone else changed it at the same time or the broker cannot be asked.
    pub async fn remove(&self, manifest: &Manifest) -> Result<(), Error> {
        if let Some(model) = self.deployments.needing(manifest).await? {
            let reference = manifest.model.at(manifest.version).to_string();
            return Err(Error::Needed { reference, model });
        }
        self.registry.remove(manifest).await
    }

    /// The version with the largest share is the one in production.
    async fn point_production_at(&self, deployment: &Deployment) -> Result<(), Error> {
        let Some(route) = deployment.principal() else { return Ok(()) };
        self.registry.move_alias(&deployment.model, &PRODUCTION.parse()?, route.version).await
    }
}
