//! What all workers together have counted, from their answers to the NATS micro protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_contract::ModelName;
use leat_contract::micro::{MicroStats, MicroVerb};
use leat_messaging::Gathering;

use crate::refusal::Refusal;
use crate::workers::{Target, Workers};

/// Every worker answers at once; who asks for figures should not wait longer than that takes.
const GATHERING: Gathering =
    Gathering { stall: Duration::from_millis(50), total: Duration::from_millis(500) };

/// The figures of one version. Workers count per model: what was counted stands with the version that has the largest share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionStatistics {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) counted: Counted,
}

/// Sums over all workers since each of them started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Requests that got a result.
    pub(crate) succeeded: u64,
    /// Requests that got an error.
    pub(crate) failed: u64,
    /// Nanoseconds from receipt to reply, of those that got a result.
    pub(crate) nanoseconds: u64,
}

/// Asks every worker and adds up.
///
/// # Errors
/// 404 or 503 when a model is named that no worker serves.
pub(crate) async fn gather(
    workers: &Workers,
    target: Option<&Target>,
) -> Result<Vec<VersionStatistics>, Refusal> {
    let service = format!("{}-inference-worker", workers.subjects().prefix());
    let [_, every_worker, _] = MicroVerb::Stats.subjects(&service, "");
    let answers = workers.control().gather(every_worker, Vec::new(), GATHERING).await?;
    let told =
        answers.iter().filter_map(|answer| leat_contract::decode_json::<MicroStats>(answer.payload()).ok());
    let summed = sum(workers, told);
    let mut models: Vec<ModelName> = workers.served.models();
    if let Some(target) = target {
        models.retain(|model| *model == target.model);
    }
    let mut versions: Vec<VersionStatistics> =
        models.iter().flat_map(|model| versions_of(workers, model, &summed)).collect();
    if let Some(target) = target {
        let wanted = target.version.map(|version| version.to_string());
        versions.retain(|version| wanted.as_ref().is_none_or(|wanted| *wanted == version.version));
        if versions.is_empty() {
            return Err(workers.absent(target));
        }
    }
    Ok(versions)
}

fn sum(workers: &Workers, told: impl Iterator<Item = MicroStats>) -> BTreeMap<ModelName, Counted> {
    let mut summed: BTreeMap<ModelName, Counted> = BTreeMap::new();
    for endpoint in told.flat_map(|stats| stats.endpoints) {
        let Some((model, None)) = workers.subjects().parse_infer(&endpoint.subject) else { continue };
        let counted = summed.entry(model).or_default();
        counted.succeeded += endpoint.num_requests.saturating_sub(endpoint.num_errors);
        counted.failed += endpoint.num_errors;
        counted.nanoseconds += endpoint.processing_time;
    }
    summed
}

fn versions_of(
    workers: &Workers,
    model: &ModelName,
    summed: &BTreeMap<ModelName, Counted>,
) -> Vec<VersionStatistics> {
    let Some(deployment) = workers.served.deployment(model) else { return Vec::new() };
    // The first of equals, as the workers choose it too.
    let principal =
        deployment.routes.iter().rev().max_by_key(|route| route.weight).map(|route| route.version);
    let counted = summed.get(model).copied().unwrap_or_default();
    let of = |version| if Some(version) == principal { counted } else { Counted::default() };
    let routes = deployment.routes.iter();
    let entry = |version: leat_contract::ModelVersion| VersionStatistics {
        model: model.to_string(),
        version: version.to_string(),
        counted: of(version),
    };
    routes.map(|route| entry(route.version)).collect()
}
