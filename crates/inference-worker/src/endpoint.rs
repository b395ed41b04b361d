//! What a model tells about itself: the metadata subject, and its place in the NATS micro protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use leat_contract::subjects::QUEUE_GROUP;
use leat_contract::{CacheFigures, InferenceFigures, ShadowFigures, VersionFigures};
use leat_messaging::micro::{Detail, EndpointInfo, EndpointStats};

use crate::Error;
use crate::describe::metadata;
use crate::loaded::LoadedVersion;
use crate::metadata::MetadataSubject;
use crate::served::{RouteTable, ServedModel};
use crate::shared::Shared;

/// The metadata subject of a model and its entry in the micro protocol.
pub(crate) struct ModelEndpoint {
    shared: Arc<Shared>,
    stats: Arc<EndpointStats>,
    metadata: MetadataSubject,
}

impl ModelEndpoint {
    /// Subscribes and lists.
    ///
    /// # Errors
    /// When the broker is away.
    pub(crate) async fn start(shared: &Arc<Shared>, served: &Arc<ServedModel>) -> Result<Self, Error> {
        let (subject, of) = (shared.context.subjects.metadata(&served.name), served.clone());
        let said = move || {
            let unavailable =
                || Error::Unavailable { reason: format!("no version of {} is served", of.name) };
            metadata(&of.routes()).ok_or_else(unavailable)
        };
        let metadata = MetadataSubject::start(shared, subject, said).await?;
        let stats = shared.micro.add_endpoint(describe(shared, served))?;
        let of = served.clone();
        stats.set_data(move |detail| serde_json::to_value(figures(&of, detail)).unwrap_or_default());
        served.set_endpoint(stats.clone());
        Ok(Self { shared: shared.clone(), stats, metadata })
    }

    /// Answers and lists no more.
    pub(crate) async fn stop(self) {
        self.metadata.stop().await;
        self.shared.micro.remove_endpoint(&self.stats);
    }
}

/// Facts of the endpoint. Versions change while it is listed, so they stand in the figures.
fn describe(shared: &Shared, served: &ServedModel) -> EndpointInfo {
    let subjects = &shared.context.subjects;
    let facts = [
        ("model", served.name.to_string()),
        ("metadata", subjects.metadata(&served.name)),
        ("schema", "proto/schemas/InferRequest.json".to_owned()),
        ("batch_rows_max", shared.settings.batch_rows_max.to_string()),
        ("contract_version", leat_contract::ContractVersion::CURRENT.as_str().to_owned()),
    ];
    EndpointInfo {
        name: format!("infer-{}", served.name),
        subject: subjects.infer(&served.name),
        queue_group: QUEUE_GROUP.to_owned(),
        metadata: BTreeMap::from(facts.map(|(name, fact)| (name.to_owned(), fact))),
    }
}

fn figures(served: &ServedModel, detail: Detail) -> InferenceFigures {
    let routes = served.routes();
    let shadow = routes.shadow.as_ref().map(|shadow| &shadow.version);
    InferenceFigures {
        queued: served.queued() as u64,
        queue_max: routes.limits.count_max as u64,
        versions: routes
            .versions
            .iter()
            .map(|(version, weight)| of_version(version, *weight, detail))
            .collect(),
        cache: routes.cache.as_ref().map(|_| looked_up(&routes)),
        shadow: shadow.map(|copied| ShadowFigures { version: copied.version, counts: copied.meter.copies() }),
    }
}

fn looked_up(routes: &RouteTable) -> CacheFigures {
    let mut sum = CacheFigures::default();
    routes.versions.iter().for_each(|(version, _)| sum.add(version.meter.totals().cache));
    sum
}

fn of_version(version: &LoadedVersion, weight: u32, detail: Detail) -> VersionFigures {
    let latency = version.meter.last_latency();
    VersionFigures {
        version: version.version,
        digest: version.digest.clone(),
        weight,
        plan: version.plan.describe().to_owned(),
        in_memory: version.plan.is_here(),
        inflight: version.meter.inflight(),
        p50_us: latency.map(|latency| latency.p50_ns / 1000),
        p99_us: latency.map(|latency| latency.p99_ns / 1000),
        totals: version.meter.totals(),
        batches: match detail {
            Detail::Full => version.meter.batches_by_size(),
            Detail::Brief => Vec::new(),
        },
    }
}
