//! What a closed window and the registry say about each condition that can raise an alert.

use std::collections::BTreeMap;

use leat_contract::{Deployment, ErrorCode, ModelName, ModelVersion, VersionWindow, Window};

use crate::alerts::{Condition, Reading};
use crate::settings::AlertSettings;
use crate::workers::Presence;

/// Codes from here on are not the caller's fault: overload, defects, absence, lateness.
const OUR_FAULT_FROM: u16 = 429;

const WORKER_LOST: &str = "worker_lost";
const NO_WORKERS: &str = "no_workers";

/// Live accuracy is compared with what the registry says of a version.
pub(crate) type ReferenceAccuracy = BTreeMap<(ModelName, ModelVersion), f64>;

/// Whether a condition can be judged from telemetry alone, without knowing what should be served and who holds a lease.
pub(crate) fn is_of_telemetry(condition: &Condition) -> bool {
    condition.kind != WORKER_LOST && condition.kind != NO_WORKERS
}

/// Every condition of one model's window.
pub(crate) fn of_window(
    window: &Window,
    references: &ReferenceAccuracy,
    settings: &AlertSettings,
) -> Vec<Reading> {
    let mut readings = vec![telemetry_gap(window)];
    for version in &window.versions {
        readings.extend(error_ratio(window, version, settings));
        readings.extend(latency(window, version, settings));
        let reference = references.get(&(window.model.clone(), version.version));
        readings.extend(reference.and_then(|reference| accuracy(window, version, *reference, settings)));
    }
    readings
}

/// Whether a worker is lost, for each model that it served.
pub(crate) fn of_presence(presence: &Presence) -> Vec<Reading> {
    let reading = |model: &ModelName| Reading {
        condition: condition(model, None, WORKER_LOST, presence.worker.as_str()),
        is_bad: presence.is_lost,
        value: presence.silent_ms as f64 / 1_000.0,
        threshold: 0.0,
        message: format!(
            "{} was last heard {:.1} s ago",
            presence.worker,
            presence.silent_ms as f64 / 1_000.0
        ),
        windows: 1,
    };
    presence.models.iter().map(reading).collect()
}

/// Whether nobody serves a version that live traffic should reach.
pub(crate) fn of_deployment(
    deployment: &Deployment,
    serving: &BTreeMap<(ModelName, ModelVersion), u64>,
    windows: u32,
) -> Vec<Reading> {
    let live = deployment.routes.iter().filter(|route| route.weight > 0);
    let reading = |version: ModelVersion| {
        let workers = serving.get(&(deployment.model.clone(), version)).copied().unwrap_or(0);
        Reading {
            condition: condition(&deployment.model, Some(version), NO_WORKERS, ""),
            is_bad: workers == 0,
            value: workers as f64,
            threshold: 1.0,
            message: format!("{workers} workers serve {}", deployment.model.at(version)),
            windows,
        }
    };
    live.map(|route| reading(route.version)).collect()
}

fn telemetry_gap(window: &Window) -> Reading {
    Reading {
        condition: condition(&window.model, None, "telemetry_gap", ""),
        is_bad: window.telemetry_gaps > 0,
        value: window.telemetry_gaps as f64,
        threshold: 0.0,
        message: format!("{} telemetry messages were lost; figures are too low", window.telemetry_gaps),
        windows: 1,
    }
}

fn error_ratio(window: &Window, version: &VersionWindow, settings: &AlertSettings) -> Option<Reading> {
    if version.requests < settings.requests_min {
        return None;
    }
    let is_our_fault = |code: ErrorCode| code.status() >= OUR_FAULT_FROM;
    let failed: u64 =
        version.errors.iter().filter(|(code, _)| is_our_fault(**code)).map(|(_, count)| count).sum();
    let ratio = failed as f64 / version.requests as f64;
    Some(Reading {
        condition: condition(&window.model, Some(version.version), "error_ratio", ""),
        is_bad: ratio > settings.error_ratio,
        value: ratio,
        threshold: settings.error_ratio,
        message: format!("{failed} of {} requests failed", version.requests),
        windows: settings.windows,
    })
}

fn latency(window: &Window, version: &VersionWindow, settings: &AlertSettings) -> Option<Reading> {
    let limit = settings.latency_p99_ms?;
    if version.latency_ms.count < settings.requests_min {
        return None;
    }
    Some(Reading {
        condition: condition(&window.model, Some(version.version), "latency_p99", ""),
        is_bad: version.latency_ms.p99 > limit,
        value: version.latency_ms.p99,
        threshold: limit,
        message: format!(
            "99 % of requests took up to {:.3} ms, the limit is {limit} ms",
            version.latency_ms.p99
        ),
        windows: settings.windows,
    })
}

fn accuracy(
    window: &Window,
    version: &VersionWindow,
    reference: f64,
    settings: &AlertSettings,
) -> Option<Reading> {
    let live = version.accuracy.as_ref()?;
    let ratio = live.ratio?;
    if live.matched < settings.labels_min {
        return None;
    }
    let threshold = reference - settings.accuracy_drop;
    Some(Reading {
        condition: condition(&window.model, Some(version.version), "accuracy", ""),
        is_bad: ratio < threshold,
        value: ratio,
        threshold,
        message: format!("accuracy of the latest labels is {ratio:.4}, {reference:.4} on held-out rows"),
        windows: settings.windows,
    })
}

fn condition(
    model: &ModelName,
    version: Option<ModelVersion>,
    kind: &'static str,
    subject: &str,
) -> Condition {
    Condition { model: model.clone(), version, kind, subject: subject.to_owned() }
}
