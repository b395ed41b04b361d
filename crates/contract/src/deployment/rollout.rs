//! How a version is tried before it gets the live route: mirrored traffic, and a share that is judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Route;
use crate::limits::check_limit;
use crate::{Digest, Error, ModelVersion};

/// A version that gets copies of live requests. Its answers are compared with those that were sent and never sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// The version.
    pub version: ModelVersion,
    /// Its blob.
    pub digest: Digest,
    /// The share of live requests that are copied, 0 to 1. Copies are dropped first when a worker is busy.
    #[serde(default = "whole")]
    pub ratio: f64,
    /// Values that differ by more are a disagreement. Of classifiers it is the class that counts.
    #[serde(default = "Shadow::default_tolerance")]
    pub tolerance: f64,
}

impl Shadow {
    /// About what 8-bit integers lose on standardised values.
    const fn default_tolerance() -> f64 {
        0.01
    }

    /// A version that gets a copy of every live request.
    pub fn new(version: ModelVersion, digest: Digest) -> Self {
        Self { version, digest, ratio: whole(), tolerance: Self::default_tolerance() }
    }

    /// As a route without a share.
    pub(super) fn route(&self) -> Route {
        Route { version: self.version, digest: self.digest.clone(), weight: 0 }
    }

    pub(super) fn validate(&self, routes: &[Route]) -> Result<(), Error> {
        check_ratio("shadow.ratio", self.ratio)?;
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err(Error::invalid("shadow.tolerance", format!("{} is not 0 or more", self.tolerance)));
        }
        if routes.iter().any(|route| route.version == self.version) {
            let reason = format!("version {} has a route of its own", self.version);
            return Err(Error::invalid("shadow.version", reason));
        }
        Ok(())
    }
}

/// A version with a share of the live route that is judged against the others: it gets all of it when it did well for long
/// enough, and none when it is shown to be worse. The monitor decides; `leat deploy`, `promote` and `rollback` end it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The version, one of the routes.
    pub version: ModelVersion,
    /// When it began, in unix milliseconds.
    pub since: u64,
    /// It is promoted after this time at the earliest, in seconds.
    #[serde(default = "Canary::default_promote_after_s")]
    pub promote_after_s: u32,
    /// It is promoted after so many of its requests at the earliest; the others must have had as many. Half of them are
    /// enough to roll it back.
    #[serde(default = "Canary::default_requests_min")]
    pub requests_min: u64,
    /// How much larger than that of the others its share of failed requests may be, 0 to 1.
    #[serde(default = "Canary::default_error_increase_max")]
    pub error_increase_max: f64,
    /// How much longer than that of the others its 99th percentile of latency may be; 0.5 is half as long again. While it has fewer
    /// requests than the others, one run of theirs comes on top, for which it waits. By the same share, and at least by a tenth and by
    /// 0.1 ms, its runs may take longer (in the geometric mean of all, with reading and writing) than those of the others in the same window
    /// on the same worker that have about as many rows, or else the next more or fewer. Compared are only runs that
    /// workers repeat for it once they are answered, with the weights near, which takes a tenth of what the runs of a version take anyway, and for each
    /// size of runs a thousandth of the time. Where too few of them can be compared, a promotion waits for more, as long again as `promote_after_s`.
    #[serde(default = "Canary::default_latency_increase_max")]
    pub latency_increase_max: f64,
    /// How much smaller than that of the others its accuracy may be, 0 to 1; of a regression, how much larger its mean absolute
    /// error, as a share of theirs. Judged once both have `labels_min` labels.
    #[serde(default = "Canary::default_accuracy_drop_max")]
    pub accuracy_drop_max: f64,
    /// Labels of each before accuracy is judged.
    #[serde(default = "Canary::default_labels_min")]
    pub labels_min: u64,
    /// Whether it waits for so many labels before it is promoted.
    #[serde(default)]
    pub needs_labels: bool,
}

impl Canary {
    /// A version that is judged from a time on, by the default policy.
    pub const fn new(version: ModelVersion, since: u64) -> Self {
        Self {
            version,
            since,
            promote_after_s: Self::default_promote_after_s(),
            requests_min: Self::default_requests_min(),
            error_increase_max: Self::default_error_increase_max(),
            latency_increase_max: Self::default_latency_increase_max(),
            accuracy_drop_max: Self::default_accuracy_drop_max(),
            labels_min: Self::default_labels_min(),
            needs_labels: false,
        }
    }

    const fn default_promote_after_s() -> u32 {
        600
    }

    const fn default_requests_min() -> u64 {
        1000
    }

    const fn default_error_increase_max() -> f64 {
        0.01
    }

    const fn default_latency_increase_max() -> f64 {
        0.5
    }

    const fn default_accuracy_drop_max() -> f64 {
        0.02
    }

    const fn default_labels_min() -> u64 {
        200
    }

    pub(super) fn validate(&self, routes: &[Route]) -> Result<(), Error> {
        check_ratio("canary.error_increase_max", self.error_increase_max)?;
        check_ratio("canary.accuracy_drop_max", self.accuracy_drop_max)?;
        if !(self.latency_increase_max.is_finite() && self.latency_increase_max >= 0.0) {
            let reason = format!("{} is not 0 or more", self.latency_increase_max);
            return Err(Error::invalid("canary.latency_increase_max", reason));
        }
        check_limit("canary.promote_after_s", self.promote_after_s.into(), 30 * 86_400)?;
        if self.requests_min == 0 || self.labels_min == 0 {
            return Err(Error::invalid("canary.requests_min or canary.labels_min", "0 is not 1 or more"));
        }
        let share = routes.iter().find(|route| route.version == self.version).map(|route| route.weight);
        if !share.is_some_and(|weight| (1..100).contains(&weight)) {
            let reason = format!("version {} has no share of the live route beside others", self.version);
            return Err(Error::invalid("canary.version", reason));
        }
        Ok(())
    }
}

const fn whole() -> f64 {
    1.0
}

pub(super) fn check_ratio(field: &'static str, ratio: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&ratio) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("{ratio} is not from 0 to 1")))
}
