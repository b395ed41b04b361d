//! The service: what starts in which order, and what stops in which order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::try_join_all;
use leat_contract::{ContractVersion, ModelName, PredictionRecord};
use leat_engine::Team;
use leat_messaging::micro;
use leat_service_runtime::{Context, Service, unix_ms};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::answering::Answering;
use crate::budget::{Budget, bring_back};
use crate::compute::ComputeThread;
use crate::follower::follow_desired_state;
use crate::ingest::Lane;
use crate::refusal::refuse_all;
use crate::shadow::Copies;
use crate::shared::Shared;
use crate::work::Work;
use crate::{Error, Settings, expiry, lease, recorder, telemetry};

/// The inference worker: follows desired state, loads models and answers requests.
#[derive(Debug)]
pub struct InferenceWorker {
    settings: Settings,
}

impl InferenceWorker {
    /// A worker with these settings, which are validated when it is run.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Service for InferenceWorker {
    type Settings = Settings;
    type Error = Error;

    const NAME: &'static str = "inference-worker";

    async fn run(self, context: Context) -> Result<(), Error> {
        let running = Running::start(self.settings, context).await?;
        running.work().await
    }
}

/// A worker with everything that runs in it.
struct Running {
    shared: Arc<Shared>,
    threads: Vec<ComputeThread>,
    /// Nothing else keeps the recorder going.
    records: mpsc::Sender<(ModelName, PredictionRecord)>,
    recorded: oneshot::Receiver<()>,
    reported: oneshot::Receiver<()>,
    swept: oneshot::Receiver<()>,
    stop_reports: CancellationToken,
    stop_sweeping: CancellationToken,
}

impl Running {
    async fn start(settings: Settings, context: Context) -> Result<Self, Error> {
        let started_at = unix_ms();
        let micro = micro::Service::start(
            &context.connections.control,
            context.instance.as_str(),
            describe(context.subjects.prefix()),
        )
        .await?;
        let (budget, coming) = Budget::new(settings.memory_budget_bytes);
        let (records, arriving) = mpsc::channel(settings.record_buffer_max);
        let copies = Copies::start()?;
        let answering = |team: &Arc<Team>| Answering::new(records.downgrade(), copies.clone(), team.clone());
        let team = Arc::new(Team::new(settings.threads_per_batch)?);
        // What is answered at once waits for no other thread.
        let alone = Arc::new(Team::new(NonZeroUsize::MIN)?);
        let mut lanes = vec![Lane::new(context.connections.ingest.clone(), answering(&alone))];
        for number in 2..=settings.ingest_connections {
            let connection = context.connect_ingest(&format!("ingest-{number}")).await?;
            lanes.push(Lane::new(connection, answering(&alone)));
        }
        let shared = Arc::new(Shared::new(settings, context, micro, (budget, lanes))?);
        let threads = (0..shared.settings.compute_threads)
            .map(|index| ComputeThread::start(index, shared.clone(), answering(&team)))
            .collect::<Result<Vec<_>, _>>()?;
        let (stop_reports, stop_sweeping) = (CancellationToken::new(), CancellationToken::new());
        let recording = recorder::record(shared.clone(), started_at, arriving);
        let reporting = telemetry::send(shared.clone(), started_at, stop_reports.clone());
        let swept = watched(&shared, "expiry", expiry::watch(shared.clone(), stop_sweeping.clone()));
        let returning = bring_back(shared.clone(), coming, stop_sweeping.clone());
        shared.context.tasks.spawn_finite("budget", returning);
        let recorded = watched(&shared, "recorder", recording);
        let reported = watched(&shared, "telemetry", reporting);
        shared.context.tasks.spawn("lease", lease::keep(shared.clone(), started_at));
        Ok(Self { shared, threads, records, recorded, reported, swept, stop_reports, stop_sweeping })
    }

    /// Works until shutdown. Then nothing that was received is lost: subscriptions end first, what they brought is
    /// answered, and only then do those stop who report on it.
    async fn work(self) -> Result<(), Error> {
        let Self { shared, threads, records, recorded, reported, swept, stop_reports, stop_sweeping } = self;
        let (threads_end, threads_ended) = oneshot::channel();
        shared.context.tasks.spawn_finite("compute", async move {
            let outcome = try_join_all(threads.into_iter().map(ComputeThread::ended)).await;
            // The worker listens until it returns.
            let _ = threads_end.send(());
            outcome.map(|_| ())
        });
        let followed = follow_desired_state(shared.clone()).await;
        info!(queued = shared.queue.len(), "subscriptions ended, answering what is queued");
        shared.queue.close();
        // Each of these ends in any case; a failure of its task is reported by the tasks' owner.
        let _ = threads_ended.await;
        drop(records);
        give_back_parked(&shared).await;
        stop_sweeping.cancel();
        let _ = swept.await;
        let _ = recorded.await;
        stop_reports.cancel();
        let _ = reported.await;
        followed
    }
}

/// Requests to versions that are out of memory find another worker.
async fn give_back_parked(shared: &Shared) {
    let parked = shared.queue.unpark(|_| true);
    parked.iter().for_each(Work::leave_queue);
    let reason = "the worker leaves, and the model is not in its memory".to_owned();
    refuse_all(shared, parked, &Error::Unavailable { reason }).await;
}

/// Starts a task and gives what resolves when it has ended.
fn watched(
    shared: &Shared,
    name: &'static str,
    task: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    shared.context.tasks.spawn_finite(name, async move {
        let outcome = task.await;
        // Nobody listens before shutdown.
        let _ = end.send(());
        outcome
    });
    ended
}

fn describe(prefix: &str) -> micro::ServiceInfo {
    micro::ServiceInfo {
        name: format!("{prefix}-inference-worker"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Answers inference requests".to_owned(),
        metadata: BTreeMap::from([("contract".to_owned(), ContractVersion::CURRENT.as_str().to_owned())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_micro_protocol_begins_with_the_prefix() {
        assert_eq!(describe("leat").name, "leat-inference-worker");
        assert_eq!(describe("other").name, "other-inference-worker");
    }
}
