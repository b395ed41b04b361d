//! What all workers together have counted, from their answers to the NATS micro protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_contract::micro::{MicroStats, MicroVerb};
use leat_contract::{InferenceFigures, ModelName, ModelVersion, VersionTotals};
use leat_messaging::Gathering;

use crate::refusal::Refusal;
use crate::workers::{Target, Workers};

/// Every worker answers at once; who asks for figures should not wait longer than that takes.
const GATHERING: Gathering =
    Gathering { stall: Duration::from_millis(50), total: Duration::from_millis(500) };

/// The figures of one version, summed over all workers, each since it loaded the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionStatistics {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) totals: VersionTotals,
}

type Summed = BTreeMap<(ModelName, ModelVersion), VersionTotals>;

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

fn sum(workers: &Workers, told: impl Iterator<Item = MicroStats>) -> Summed {
    let mut summed = Summed::new();
    for endpoint in told.flat_map(|stats| stats.endpoints) {
        let Some((model, None)) = workers.subjects().parse_infer(&endpoint.subject) else { continue };
        // A worker of another contract may tell less.
        let figures = endpoint.data.and_then(|data| serde_json::from_value::<InferenceFigures>(data).ok());
        for version in figures.into_iter().flat_map(|figures| figures.versions) {
            summed.entry((model.clone(), version.version)).or_default().add(&version.totals);
        }
    }
    summed
}

fn versions_of(workers: &Workers, model: &ModelName, summed: &Summed) -> Vec<VersionStatistics> {
    let Some(deployment) = workers.served.deployment(model) else { return Vec::new() };
    let statistics = |version: ModelVersion| VersionStatistics {
        model: model.to_string(),
        version: version.to_string(),
        totals: summed.get(&(model.clone(), version)).copied().unwrap_or_default(),
    };
    deployment.routes.iter().map(|route| statistics(route.version)).collect()
}
