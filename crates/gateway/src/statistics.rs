//! What all workers together have counted, from their answers to the NATS micro protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use leat_contract::micro::{MicroStats, MicroVerb};
use leat_contract::{BatchFigures, InferenceFigures, ModelName, ModelVersion, VersionTotals};
use leat_messaging::Gathering;

use crate::refusal::Refusal;
use crate::workers::{Target, Workers};

/// Every worker answers at once; who asks for figures should not wait longer than that takes.
const GATHERING: Gathering =
    Gathering { stall: Duration::from_millis(50), total: Duration::from_millis(500) };

/// The figures of one version, summed over all workers, each since it loaded the version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VersionStatistics {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) totals: VersionTotals,
    /// The runs, by how many rows they had.
    pub(crate) batches: Vec<BatchFigures>,
}

/// What all workers did, and their runs by size.
#[derive(Debug, Default)]
struct Sum {
    totals: VersionTotals,
    batches: BTreeMap<u64, BatchFigures>,
}

type Summed = BTreeMap<(ModelName, ModelVersion), Sum>;

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
    let mut summed = sum(workers, told);
    let mut models: Vec<ModelName> = workers.served.models();
    if let Some(target) = target {
        models.retain(|model| *model == target.model);
    }
    let mut versions: Vec<VersionStatistics> =
        models.iter().flat_map(|model| versions_of(workers, model, &mut summed)).collect();
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
            let sum = summed.entry((model.clone(), version.version)).or_default();
            sum.totals.add(&version.totals);
            for told in &version.batches {
                let size = told.size;
                let batches = sum.batches.entry(size).or_insert(BatchFigures { size, ..Default::default() });
                batches.add(told);
            }
        }
    }
    summed
}

fn versions_of(workers: &Workers, model: &ModelName, summed: &mut Summed) -> Vec<VersionStatistics> {
    let Some(deployment) = workers.served.deployment(model) else { return Vec::new() };
    let mut statistics = |version: ModelVersion| {
        let Sum { totals, batches } = summed.remove(&(model.clone(), version)).unwrap_or_default();
        let batches = batches.into_values().collect();
        VersionStatistics { model: model.to_string(), version: version.to_string(), totals, batches }
    };
    deployment.routes.iter().map(|route| statistics(route.version)).collect()
}
