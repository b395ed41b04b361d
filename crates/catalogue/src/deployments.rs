use leat_contract::{AssetRole, Deployment, Manifest, ModelName, ModelVersion, Route, Shadow};
use leat_messaging::{Entry, Error as MessagingError, KeyValue, Storage};
use leat_service_runtime::unix_ms;

use crate::readable::readable;
use crate::{Error, LeftOut, Registry, fit::Manifests};

/// Somebody who changes the same routes at the same moment wins at most this often in a row.
const ATTEMPTS_MAX: usize = 16;

/// What should be served. Every change is a compare-and-set on one document, so two people cannot mix their routes.
#[derive(Debug)]
pub struct Deployments {
    bucket: KeyValue<Deployment>,
    registry: Registry,
    left_out: LeftOut,
}

impl Deployments {
    /// The deployments in this storage.
    pub fn new(storage: &Storage, left_out: LeftOut) -> Self {
        let registry = Registry::new(storage, left_out);
        Self { bucket: storage.key_value(AssetRole::Desired), registry, left_out }
    }

    /// The deployment of a model, if it has one.
    ///
    /// # Errors
    /// When the broker cannot be asked or the document is none.
    pub async fn get(&self, model: &ModelName) -> Result<Option<Entry<Deployment>>, Error> {
        Ok(self.bucket.get(model.as_str()).await?)
    }

    /// The deployment that a model had when it was taken off, as far as the broker remembers; none while it is deployed.
    ///
    /// # Errors
    /// When the broker cannot be asked or the document is none.
    pub async fn removed(&self, model: &ModelName) -> Result<Option<Deployment>, Error> {
        Ok(self.bucket.removed(model.as_str()).await?)
    }

    /// Every deployment that can be read, in the order of names.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn all(&self) -> Result<Vec<Entry<Deployment>>, Error> {
        readable(&self.bucket, ">", self.left_out).await
    }

    /// The model whose deployment needs a version, if there is one.
    ///
    /// # Errors
    /// When the broker cannot be asked, or a document cannot be read, which may need it.
    pub(crate) async fn needing(&self, manifest: &Manifest) -> Result<Option<ModelName>, Error> {
        let mut all = self.bucket.entries().await?.into_iter().map(|entry| entry.value);
        let found = all.find(|deployment| deployment.needs(&manifest.model, manifest.version));
        Ok(found.map(|deployment| deployment.model))
    }

    /// Gives a version a share of the live traffic in percent and leaves the rest to the others in proportion. The first
    /// version of a model gets everything. `adjust` may change what else the document says.
    ///
    /// # Errors
    /// When the result is no valid deployment, its versions do not fit together, or others keep changing it.
    pub async fn route(
        &self,
        manifest: &Manifest,
        weight: u32,
        adjust: impl Fn(&mut Deployment),
    ) -> Result<Entry<Deployment>, Error> {
        self.route_again(manifest, weight, (None, adjust)).await
    }

    /// As [`Deployments::route`]. A model that has no deployment is served as `former` says in everything but its routes.
    pub(crate) async fn route_again(
        &self,
        manifest: &Manifest,
        weight: u32,
        (former, adjust): (Option<Deployment>, impl Fn(&mut Deployment)),
    ) -> Result<Entry<Deployment>, Error> {
        self.change(&manifest.model, |current| {
            let route = Route { version: manifest.version, digest: manifest.digest.clone(), weight };
            let mut next = match current {
                _ if weight == 0 && !has_others(current, manifest.version) => {
                    let version = manifest.model.at(manifest.version);
                    return Err(Error::unfit(format!("{version} cannot have 0 %: no other version answers")));
                }
                // Who only answers when it is named takes nothing from a canary.
                Some(current) if weight == 0 => {
                    let canary = current.canary.clone().filter(|canary| canary.version != manifest.version);
                    Deployment { canary, ..moved(current, with_share(&current.routes, route)) }
                }
                Some(current) => moved(current, with_share(&current.routes, route)),
                None => first(manifest, route, former.clone()),
            };
            adjust(&mut next);
            Ok(next)
        })
        .await
    }

    /// Gives a deployed model a shadow, or takes it away. `adjust` may change what else the document says.
    ///
    /// # Errors
    /// When the model is not deployed, the result is no valid deployment, its versions do not fit together, or others keep changing it.
    pub async fn shadow(
        &self,
        model: &ModelName,
        shadow: Option<Shadow>,
        adjust: impl Fn(&mut Deployment),
    ) -> Result<Entry<Deployment>, Error> {
        self.change(model, |current| {
            let current = current.ok_or_else(|| not_deployed(model))?;
            let mut next = Deployment { shadow: shadow.clone(), updated_at: unix_ms(), ..current.clone() };
            adjust(&mut next);
            Ok(next)
        })
        .await
    }

    /// Deploys a model as it was when it was taken off, without its shadow and its canary; none when it was not, or a version of its routes is
    /// removed.
    pub(crate) async fn restore(&self, model: &ModelName) -> Result<Option<Entry<Deployment>>, Error> {
        let Some(former) = self.removed(model).await? else { return Ok(None) };
        let former = former.with_canary_rolled_back(unix_ms()).unwrap_or(former);
        let former = Deployment { previous: None, shadow: None, updated_at: unix_ms(), ..former };
        for route in &former.routes {
            if self.registry.get(model, route.version).await?.is_none() {
                return Ok(None);
            }
        }
        let restored = |current: Option<&Deployment>| Ok(current.unwrap_or(&former).clone());
        self.change(model, restored).await.map(Some)
    }

    /// Exchanges the routes with those before the last change.
    ///
    /// # Errors
    /// When there is no deployment or nothing to go back to, or what is there does not fit to what else the deployment says.
    pub async fn rollback(&self, model: &ModelName) -> Result<Entry<Deployment>, Error> {
        self.change(model, |current| {
            let current = current.ok_or_else(|| not_deployed(model))?;
            let nothing = || Error::NothingBefore { model: model.clone() };
            let previous = current.previous.clone().ok_or_else(nothing)?;
            Ok(moved(current, previous))
        })
        .await
    }

    /// Takes a model off.
    ///
    /// # Errors
    /// When it is not deployed.
    pub async fn remove(&self, model: &ModelName) -> Result<(), Error> {
        let entry = self.get(model).await?.ok_or_else(|| not_deployed(model))?;
        Ok(self.bucket.delete_revision(&entry.key, entry.revision).await?)
    }

    async fn change(
        &self,
        model: &ModelName,
        next: impl Fn(Option<&Deployment>) -> Result<Deployment, Error>,
    ) -> Result<Entry<Deployment>, Error> {
        let mut lost = None;
        for _ in 0..ATTEMPTS_MAX {
            let current = self.get(model).await?;
            let former = current.as_ref().map(|entry| &entry.value);
            let mut value = next(former)?;
            value.validate()?;
            // Who answers nobody is no reason to refuse other routes, least of all those of before.
            let had_shadow = former.is_some_and(|former| former.shadow == value.shadow);
            let manifests = Manifests::of(&self.registry, &value).await?;
            if had_shadow && !manifests.shadow_fits(&value) {
                value.shadow = None;
            }
            manifests.check(&value)?;
            let written = match &current {
                Some(entry) => self.bucket.update(model.as_str(), &value, entry.revision).await,
                None => self.bucket.create(model.as_str(), &value).await,
            };
            match written {
                Ok(revision) => return Ok(Entry { key: model.to_string(), value, revision }),
                Err(conflict @ MessagingError::Conflict { .. }) => lost = Some(conflict),
                Err(error) => return Err(error.into()),
            }
        }
        Err(lost.map_or_else(|| not_deployed(model), Error::from))
    }
}

fn not_deployed(model: &ModelName) -> Error {
    Error::NotDeployed { model: model.clone() }
}

fn first(manifest: &Manifest, route: Route, former: Option<Deployment>) -> Deployment {
    let former = former.unwrap_or_else(|| Deployment::new(manifest.model.clone(), Vec::new()));
    let routes = vec![Route { weight: 100, ..route }];
    Deployment { routes, previous: None, shadow: None, canary: None, updated_at: unix_ms(), ..former }
}

/// The deployment with other routes. Whoever moves routes by hand ends what the monitor was to judge; a shadow that gets a route
/// is none any more. Asking again for those in force does not overwrite what a rollback goes back to.
fn moved(current: &Deployment, routes: Vec<Route>) -> Deployment {
    let is_a_change = routes != current.routes;
    let previous = if is_a_change { Some(current.routes.clone()) } else { current.previous.clone() };
    let has_route = |shadow: &Shadow| routes.iter().any(|route| route.version == shadow.version);
    let shadow = current.shadow.clone().filter(|shadow| !has_route(shadow));
    Deployment { routes, previous, shadow, canary: None, updated_at: unix_ms(), ..current.clone() }
}

fn has_others(deployment: Option<&Deployment>, version: ModelVersion) -> bool {
    let routes = deployment.map_or(&[][..], |deployment| &deployment.routes);
    routes.iter().any(|route| route.version != version && route.weight > 0)
}

/// The routes when one version gets `route.weight` and the others share the rest in their old proportion. Versions whose
/// share becomes zero are dropped, except that nothing is dropped in favour of a version that gets nothing. Those that had none keep
/// answering who names them, until one version gets everything.
fn with_share(routes: &[Route], route: Route) -> Vec<Route> {
    let others: Vec<&Route> =
        routes.iter().filter(|other| other.version != route.version && other.weight > 0).collect();
    let rest = 100_u32.saturating_sub(route.weight);
    let total: u32 = others.iter().map(|other| other.weight).sum();
    if others.is_empty() || total == 0 {
        return vec![Route { weight: 100, ..route }];
    }
    let mut shared: Vec<Route> = Vec::with_capacity(others.len() + 1);
    let (mut given, mut seen) = (0, 0);
    for other in others {
        // Rounding the running sum instead of each share makes the shares add up exactly.
        seen += other.weight;
        let up_to_here = (f64::from(rest) * f64::from(seen) / f64::from(total)).round() as u32;
        shared.push(Route { weight: up_to_here - given, ..other.clone() });
        given = up_to_here;
    }
    shared.retain(|other| other.weight > 0);
    let is_only_named = |other: &&Route| other.version != route.version && other.weight == 0 && rest > 0;
    shared.extend(routes.iter().filter(is_only_named).cloned());
    shared.push(route);
    shared.sort_by_key(|route| route.version);
    shared
}

#[cfg(test)]
mod tests {
    use leat_contract::Digest;

    use super::*;

    fn route(version: u32, weight: u32) -> Route {
        let digest = Digest::new(format!("sha256-{}", "0".repeat(64))).unwrap();
        Route { version: ModelVersion::new(version).unwrap(), digest, weight }
    }

    fn weights(routes: &[Route]) -> Vec<(u32, u32)> {
        routes.iter().map(|route| (route.version.get(), route.weight)).collect()
    }

    #[test]
    fn a_canary_takes_its_share_from_the_live_version() {
        assert_eq!(weights(&with_share(&[route(1, 100)], route(2, 10))), [(1, 90), (2, 10)]);
        assert_eq!(weights(&with_share(&[route(1, 90), route(2, 10)], route(2, 50))), [(1, 50), (2, 50)]);
        assert_eq!(weights(&with_share(&[route(1, 90), route(2, 10)], route(2, 100))), [(2, 100)]);
    }

    #[test]
    fn several_others_keep_their_proportion_and_the_sum_stays_100() {
        let shared = with_share(&[route(1, 33), route(2, 33), route(3, 34)], route(4, 1));
        assert_eq!(shared.iter().map(|route| route.weight).sum::<u32>(), 100);
        assert_eq!(weights(&shared), [(1, 33), (2, 32), (3, 34), (4, 1)]);
    }

    #[test]
    fn asking_twice_for_the_same_routes_keeps_what_a_rollback_goes_back_to() {
        let deployment = |routes: Vec<Route>, previous: Option<Vec<Route>>| Deployment {
            previous,
            ..Deployment::new("wine".parse().unwrap(), routes)
        };
        let canary = moved(&deployment(vec![route(1, 100)], None), vec![route(1, 90), route(2, 10)]);
        let again = moved(&canary, canary.routes.clone());
        assert_eq!(again.previous.map(|routes| weights(&routes)), Some(vec![(1, 100)]));
    }

    #[test]
    fn moving_routes_by_hand_ends_a_canary_and_a_shadow_that_gets_a_route() {
        let version = |number| ModelVersion::new(number).unwrap();
        let mut deployment = Deployment::new("wine".parse().unwrap(), vec![route(1, 90), route(2, 10)]);
        deployment.canary = Some(leat_contract::Canary::new(version(2), 0));
        deployment.shadow = Some(Shadow::new(version(3), route(3, 0).digest));
        let promoted = moved(&deployment, vec![route(2, 100)]);
        assert!(promoted.canary.is_none() && promoted.shadow.is_some());
        assert!(moved(&deployment, vec![route(3, 100)]).shadow.is_none());
    }

    #[test]
    fn a_version_that_only_answers_when_it_is_named_stays_until_another_gets_everything() {
        let named = with_share(&[route(1, 100)], route(2, 0));
        assert_eq!(weights(&named), [(1, 100), (2, 0)]);
        assert_eq!(weights(&with_share(&named, route(3, 10))), [(1, 90), (2, 0), (3, 10)]);
        assert_eq!(weights(&with_share(&named, route(2, 10))), [(1, 90), (2, 10)]);
        assert_eq!(weights(&with_share(&named, route(3, 100))), [(3, 100)]);
    }

    #[test]
    fn the_only_version_keeps_everything() {
        assert_eq!(weights(&with_share(&[route(1, 100)], route(1, 10))), [(1, 100)]);
    }
}
