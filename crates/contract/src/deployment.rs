//! What should be served: one document per model, which workers follow.

mod ending;
mod pipeline;
mod rollout;
mod serving;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pipeline::{Pipeline, PipelineMember, PipelineMode};
pub use rollout::{Canary, Shadow};
pub use serving::{Batching, Caching, DeploymentLimits, Recording};

use crate::limits::{self, check_limit};
use crate::{Digest, Error, ModelName, ModelVersion};

/// What must be left of the live route, in percent, for a worker that cannot load the rest.
const SHARE_LEFT_MIN: u32 = 50;

/// The desired state of one model, under its name. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The model.
    pub model: ModelName,
    /// Which versions answer the live route, and what share each. Weights sum to 100.
    pub routes: Vec<Route>,
    /// The routes before the last change, for a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Vec<Route>>,
    /// How requests are gathered into batches.
    #[serde(default)]
    pub batching: Batching,
    /// What a worker refuses.
    #[serde(default)]
    pub limits: DeploymentLimits,
    /// Which predictions are recorded.
    #[serde(default)]
    pub record: Recording,
    /// A version that gets copies of live requests and answers none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// A version whose share of the live route grows or ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Whether and how many answers are kept for requests that come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Caching>,
    /// Other models that answer together with every version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Pipeline>,
    /// Labels that a worker must have to serve the model, name by name. Empty for every worker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// When it was last changed.
    pub updated_at: u64,
}

impl Deployment {
    /// A deployment of these routes with everything else as it is unless told otherwise.
    pub fn new(model: ModelName, routes: Vec<Route>) -> Self {
        Self {
            model,
            routes,
            previous: None,
            batching: Batching::default(),
            limits: DeploymentLimits::default(),
            record: Recording::default(),
            shadow: None,
            canary: None,
            cache: None,
            pipeline: None,
            selector: BTreeMap::new(),
            updated_at: 0,
        }
    }

    /// Whether a worker can follow it: weights sum to 100, no version twice, at least one route, batches and queues that
    /// hold something, ratios between 0 and 1, a shadow without a route and a canary with one. The previous routes obey the
    /// same rules.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and the value, or [`Error::TooLarge`].
    pub fn validate(&self) -> Result<(), Error> {
        check_routes("routes", &self.routes)?;
        if let Some(previous) = &self.previous {
            check_routes("previous", previous)?;
        }
        self.batching.validate()?;
        self.limits.validate()?;
        rollout::check_ratio("record.ratio", self.record.ratio)?;
        self.cache.iter().try_for_each(Caching::validate)?;
        self.pipeline.iter().try_for_each(Pipeline::validate)?;
        self.shadow.iter().try_for_each(|shadow| shadow.validate(&self.routes))?;
        self.canary.iter().try_for_each(|canary| canary.validate(&self.routes))?;
        check_limit("labels of a selector", self.selector.len() as u64, limits::LABELS_MAX as u64)
    }

    /// Whether a worker with these labels is to serve it.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Every version that a worker must load: those of the routes, then the shadow as a route without a share.
    pub fn versions(&self) -> impl Iterator<Item = Route> {
        self.routes.iter().cloned().chain(self.shadow.iter().map(Shadow::route))
    }

    /// What is left of it without versions that a worker cannot load, as long as those that are left answer at least half of the live
    /// route, and are not only what was to be tried.
    pub fn without(&self, missing: impl Fn(&Route) -> bool) -> Option<Self> {
        let mut rest = self.clone();
        rest.routes.retain(|route| !missing(route));
        let share: u32 = rest.routes.iter().map(|route| route.weight).sum();
        rest.shadow = rest.shadow.filter(|shadow| !missing(&shadow.route()));
        let is_tried =
            |route: &Route| rest.canary.as_ref().is_some_and(|canary| canary.version == route.version);
        let is_proven = rest.routes.iter().any(|route| route.weight > 0 && !is_tried(route));
        (is_proven && share >= SHARE_LEFT_MIN).then_some(rest)
    }

    /// The route with the largest share, of equal ones the first.
    pub fn principal(&self) -> Option<&Route> {
        Route::principal(&self.routes)
    }

    /// Whether it cannot do without a version: one of its routes, of those before the last change, its shadow or a model of its pipeline.
    pub fn needs(&self, model: &ModelName, version: ModelVersion) -> bool {
        let is_own = || {
            let previous = self.previous.iter().flatten().cloned();
            self.versions().chain(previous).any(|route| route.version == version)
        };
        let mut members = self.pipeline.iter().flat_map(|pipeline| &pipeline.members);
        (self.model == *model && is_own())
            || members.any(|member| member.model == *model && member.version == version)
    }

    /// The route of a version.
    pub fn route(&self, version: ModelVersion) -> Option<&Route> {
        self.routes.iter().find(|route| route.version == version)
    }
}

/// One version and the share of the live route that it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The version.
    pub version: ModelVersion,
    /// Its blob, so that a worker loads exactly what was meant.
    pub digest: Digest,
    /// Its share in percent, 0 to 100. With 0 it answers only when pinned.
    pub weight: u32,
}

impl Route {
    /// The one with the largest share, of equal ones the first.
    pub fn principal(routes: &[Self]) -> Option<&Self> {
        routes.iter().rev().max_by_key(|route| route.weight)
    }
}

fn check_routes(field: &'static str, routes: &[Route]) -> Result<(), Error> {
    if routes.is_empty() {
        return Err(Error::invalid(field, "a deployment needs at least one route"));
    }
    check_limit("number of routes", routes.len() as u64, limits::ROUTES_MAX as u64)?;
    let mut versions = BTreeSet::new();
    for route in routes {
        if !versions.insert(route.version) {
            return Err(Error::invalid(field, format!("version {} stands there twice", route.version)));
        }
    }
    let sum: u64 = routes.iter().map(|route| u64::from(route.weight)).sum();
    if sum != 100 {
        return Err(Error::invalid(field, format!("weights sum to {sum}, not 100")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
