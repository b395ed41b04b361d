//! What should be served: one document per model, which workers follow.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{self, check_limit};
use crate::{Digest, Error, ModelName, ModelVersion};

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
    /// When it was last changed.
    pub updated_at: u64,
}

impl Deployment {
    /// Whether a worker can follow it: weights sum to 100, no version twice, at least one route, batches and queues that
    /// hold something, a ratio between 0 and 1. The previous routes obey the same rules.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and the value, or [`Error::TooLarge`].
    pub fn validate(&self) -> Result<(), Error> {
        check_routes("routes", &self.routes)?;
        if let Some(previous) = &self.previous {
            check_routes("previous", previous)?;
        }
        self.batching.validate()?;
        if self.limits.queue_max == 0 {
            return Err(Error::invalid("limits.queue_max", "0 is not 1 or more"));
        }
        let ratio = self.record.ratio;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(Error::invalid("record.ratio", format!("{ratio} is not from 0 to 1")));
        }
        Ok(())
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

/// How requests are gathered into batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Batching {
    /// Rows of one run, at most.
    pub max_size: u32,
    /// How long to wait for more rows, in microseconds. 0 takes what is ready.
    pub max_delay_us: u32,
}

impl Batching {
    /// The longest wait that can be asked for, one second.
    pub const DELAY_US_MAX: u32 = 1_000_000;

    fn validate(&self) -> Result<(), Error> {
        if self.max_size == 0 {
            return Err(Error::invalid("batching.max_size", "0 is not 1 or more"));
        }
        check_limit("batching.max_size in rows", self.max_size.into(), limits::ROWS_MAX as u64)?;
        check_limit("batching.max_delay_us", self.max_delay_us.into(), Self::DELAY_US_MAX.into())
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self { max_size: 64, max_delay_us: 0 }
    }
}

/// What a worker refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeploymentLimits {
    /// Requests that may wait on one worker; the next is refused as overloaded.
    pub queue_max: u32,
}

impl Default for DeploymentLimits {
    fn default() -> Self {
        Self { queue_max: 1024 }
    }
}

/// Which predictions are recorded. Only requests with an id can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// The share of requests with an id, 0 to 1.
    pub ratio: f64,
}

impl Default for Recording {
    fn default() -> Self {
        Self { ratio: 1.0 }
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
