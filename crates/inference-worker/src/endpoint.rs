//! What a model tells about itself: the metadata subject, and its place in the NATS micro protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leat_contract::subjects::QUEUE_GROUP;
use leat_contract::{CacheFigures, Encoding, InferenceFigures, ShadowFigures, VersionFigures, encode};
use leat_messaging::Subscription;
use leat_messaging::micro::{EndpointInfo, EndpointStats};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::describe::metadata;
use crate::loaded::LoadedVersion;
use crate::served::{RouteTable, ServedModel};
use crate::shared::Shared;
use crate::work::Content;

/// What ending the subscription may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The metadata subject of a model and its entry in the micro protocol.
pub(crate) struct ModelEndpoint {
    shared: Arc<Shared>,
    stats: Arc<EndpointStats>,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl ModelEndpoint {
    /// Subscribes and lists.
    ///
    /// # Errors
    /// When the broker is away.
    pub(crate) async fn start(shared: &Arc<Shared>, served: &Arc<ServedModel>) -> Result<Self, Error> {
        let subject = shared.context.subjects.metadata(&served.name);
        let subscription = shared.context.connections.control.queue_subscribe(subject, QUEUE_GROUP).await?;
        let stats = shared.micro.add_endpoint(describe(shared, served))?;
        let of = served.clone();
        stats.set_data(move || serde_json::to_value(figures(&of)).unwrap_or_default());
        served.set_endpoint(stats.clone());
        let (stop, (end, ended)) = (CancellationToken::new(), oneshot::channel());
        let answering = answer(shared.clone(), served.clone(), subscription, stop.clone());
        shared.context.tasks.spawn_finite("metadata", async move {
            answering.await;
            // Whoever stops it may no longer wait.
            let _ = end.send(());
            Ok::<(), Error>(())
        });
        Ok(Self { shared: shared.clone(), stats, stop, ended })
    }

    /// Answers and lists no more.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It ends in any case; that the task is gone means the same.
        let _ = self.ended.await;
        self.shared.micro.remove_endpoint(&self.stats);
    }
}

async fn answer(
    shared: Arc<Shared>,
    served: Arc<ServedModel>,
    mut questions: Subscription,
    stop: CancellationToken,
) {
    let mut is_draining = false;
    loop {
        let question = tokio::select! {
            question = questions.next() => question,
            () = stop.cancelled(), if !is_draining => {
                is_draining = true;
                let connection = &shared.context.connections.control;
                let is_drained = connection.is_connected() && questions.drain(DRAIN_TIMEOUT).await.is_ok();
                if is_drained { continue } else { return }
            }
        };
        let Some(question) = question else { return };
        let Some(reply) = question.reply() else { continue };
        let content = match document(&served) {
            Ok(bytes) => Content::Result(bytes.into()),
            Err(error) => Content::Refusal(error.detail(), Encoding::Json),
        };
        if crate::compute::send(&shared.context.connections.control, reply.clone(), content).await.is_err() {
            shared.metrics.replies_lost.inc();
        }
    }
}

fn document(served: &ServedModel) -> Result<Vec<u8>, Error> {
    let unavailable = || Error::Unavailable { reason: format!("no version of {} is served", served.name) };
    let metadata = metadata(&served.routes()).ok_or_else(unavailable)?;
    Ok(encode(Encoding::Json, &metadata)?)
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

fn figures(served: &ServedModel) -> InferenceFigures {
    let routes = served.routes();
    let shadow = routes.shadow.as_ref().map(|shadow| &shadow.version);
    InferenceFigures {
        queued: served.queued() as u64,
        queue_max: routes.limits.count_max as u64,
        versions: routes.versions.iter().map(|(version, weight)| of_version(version, *weight)).collect(),
        cache: routes.cache.as_ref().map(|_| looked_up(&routes)),
        shadow: shadow.map(|copied| ShadowFigures { version: copied.version, counts: copied.meter.copies() }),
    }
}

fn looked_up(routes: &RouteTable) -> CacheFigures {
    let mut sum = CacheFigures::default();
    routes.versions.iter().for_each(|(version, _)| sum.add(version.meter.totals().cache));
    sum
}

fn of_version(version: &LoadedVersion, weight: u32) -> VersionFigures {
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
        batches: version.meter.batches_by_size(),
    }
}
