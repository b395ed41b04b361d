//! How a version is tried before it gets the live route, as options of the command line.

use std::time::Duration;

use clap::Args;
use leat_contract::{Canary, Deployment, Manifest, ModelVersion, Shadow};
use leat_service_runtime::unix_ms;

/// How a version is tried. Without these options it gets its share for good.
#[derive(Clone, Debug, Args)]
pub(super) struct Rollout {
    /// Give the version this share of live traffic in percent and let the monitor judge it: it is promoted when it does well,
    /// and rolled back when it fails more often, answers more slowly or is less accurate than the others.
    #[arg(long, value_name = "PERCENT", conflicts_with = "weight", value_parser = clap::value_parser!(u32).range(1..=99))]
    canary: Option<u32>,
    /// When a canary is promoted at the earliest (unless told otherwise after 10m).
    #[arg(long, value_name = "TIME", requires = "canary", value_parser = crate::time::parse)]
    promote_after: Option<Duration>,
    /// Requests of a canary, and of the others, before it is promoted (unless told otherwise 1000).
    #[arg(long, value_name = "REQUESTS", requires = "canary")]
    min_requests: Option<u64>,
    /// How much larger a canary's share of failed requests may be, 0 to 1 (unless told otherwise 0.01).
    #[arg(long, value_name = "RATIO", requires = "canary")]
    max_error_increase: Option<f64>,
    /// How much longer a canary's 99th percentile of latency, and its runs beside the others' with about as many rows, may be (unless
    /// told otherwise 0.5: half as long again).
    #[arg(long, value_name = "RATIO", requires = "canary")]
    max_latency_increase: Option<f64>,
    /// How much smaller a canary's accuracy may be, 0 to 1, or of a regression how much larger its mean absolute error, as a
    /// share (unless told otherwise 0.02).
    #[arg(long, value_name = "RATIO", requires = "canary")]
    max_accuracy_drop: Option<f64>,
    /// Labels of a canary, and of the others, that it waits for before it is promoted (unless told otherwise for none).
    #[arg(long, value_name = "LABELS", requires = "canary")]
    min_labels: Option<u64>,
    /// Send the version copies of this share of live requests, 0 to 1, and compare its answers; it answers nobody. 0 ends it.
    #[arg(long, value_name = "RATIO", conflicts_with_all = ["canary", "weight"])]
    shadow: Option<f64>,
    /// Values of a shadow that differ by more are a disagreement (unless told otherwise 0.01).
    #[arg(long, value_name = "DIFFERENCE", requires = "shadow")]
    shadow_tolerance: Option<f64>,
}

impl Rollout {
    /// The share of live traffic, when the version is a canary.
    pub(super) fn weight(&self) -> Option<u32> {
        self.canary
    }

    pub(super) fn is_shadow(&self) -> bool {
        self.shadow.is_some()
    }

    /// The shadow that is asked for; none to end it.
    pub(super) fn shadow(&self, manifest: &Manifest) -> Option<Shadow> {
        let ratio = self.shadow.filter(|ratio| *ratio != 0.0)?;
        let shadow = Shadow::new(manifest.version, manifest.digest.clone());
        let tolerance = self.shadow_tolerance.unwrap_or(shadow.tolerance);
        Some(Shadow { ratio, tolerance, ..shadow })
    }

    /// Makes a version the canary of a deployment that has its route already.
    pub(super) fn apply(&self, deployment: &mut Deployment, version: ModelVersion) {
        if self.canary.is_none() {
            return;
        }
        let policy = Canary::new(version, unix_ms());
        let seconds = |time: Duration| u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        deployment.canary = Some(Canary {
            promote_after_s: self.promote_after.map_or(policy.promote_after_s, seconds),
            requests_min: self.min_requests.unwrap_or(policy.requests_min),
            error_increase_max: self.max_error_increase.unwrap_or(policy.error_increase_max),
            latency_increase_max: self.max_latency_increase.unwrap_or(policy.latency_increase_max),
            accuracy_drop_max: self.max_accuracy_drop.unwrap_or(policy.accuracy_drop_max),
            labels_min: self.min_labels.unwrap_or(policy.labels_min),
            needs_labels: self.min_labels.is_some(),
            ..policy
        });
    }
}
