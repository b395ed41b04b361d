//! What runs around a service: connections, health port, orders.

use std::convert::Infallible;

use futures_util::FutureExt;
use leat_contract::{Subjects, WorkerId};
use leat_messaging::Storage;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::stop::{Budget, Step, StopRequest};
use crate::{
    Connections, Context, Error, Health, HttpSettings, Inflight, Metrics, NatsSettings, Readiness, Tasks,
    control,
};

/// Obstacles to readiness that the runtime itself puts up.
const BROKER: &str = "broker";
const STOPPING: &str = "stopping";

/// Which service, and which one of its kind.
pub(super) struct Identity {
    pub(super) service: &'static str,
    pub(super) instance: WorkerId,
    /// Whether its spans go to a collector.
    pub(super) traces: bool,
}

/// What runs around a service: connections, health port, orders.
pub(super) struct Surroundings {
    pub(super) context: Context,
    tasks: Tasks,
    health_stop: CancellationToken,
}

impl Surroundings {
    /// Starts everything that a service needs. The health port answers before the broker does.
    pub(super) async fn start(
        identity: Identity,
        nats: &NatsSettings,
        http: &HttpSettings,
        stop: &StopRequest,
    ) -> Result<Self, Error> {
        let readiness = Readiness::default();
        readiness.block(BROKER, "connecting");
        let metrics = Metrics::new(readiness.clone());
        let tasks = Tasks::new(stop.token().clone());
        let health_stop = CancellationToken::new();
        // Whatever ends the start also ends the health port.
        let abandoned = health_stop.clone().drop_guard();
        if let Some(address) = http.bind {
            let health = Health::bind(address).await?;
            info!(address = %health.address(), "health port is open");
            let serving = health.serve(readiness.clone(), metrics.clone(), health_stop.clone());
            // It ends only when it is stopped, which may be before the service starts.
            tasks.spawn_finite("health", serving.map(Ok::<(), Infallible>));
        }
        let subjects = subjects(&nats.subject_prefix)?;
        let connections = Connections::open(identity.service, &identity.instance, nats).await?;
        readiness.block(BROKER, "checking streams and buckets");
        let storage = open_storage(&connections, &subjects, nats.provision).await?;
        readiness.clear(BROKER);
        let context = Context {
            storage,
            subjects,
            shutdown: stop.token().clone(),
            readiness,
            inflight: Inflight::default(),
            metrics,
            tasks: Tasks::new(stop.token().clone()),
            instance: identity.instance,
            traces: identity.traces,
            connections,
        };
        context.metrics.watch_connections(&context.connections);
        control::start(&context, &tasks, stop).await?;
        context.connections.watch(&tasks, &context.readiness);
        abandoned.disarm();
        Ok(Self { context, tasks, health_stop })
    }

    /// Says to the outside that no more work is taken.
    pub(super) fn withdraw(&self) {
        self.context.readiness.block(STOPPING, "the service is stopping");
    }

    /// The first failure of something around the service, once.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.tasks.take_failure()
    }

    /// Sends what is queued, closes the connections and the health port. A lost connection has nothing to send; only
    /// running out of time is an error.
    pub(super) async fn end(self, budget: Budget) -> Result<(), Error> {
        let connections = &self.context.connections;
        let flushed =
            timeout_at(budget.end_of(Step::Flush), connections.flush(budget.left_for(Step::Flush))).await;
        let drained =
            timeout_at(budget.end_of(Step::Drain), connections.drain(budget.left_for(Step::Drain))).await;
        self.health_stop.cancel();
        self.tasks.abort();
        if timeout_at(budget.end_of(Step::Drain), self.tasks.ended()).await.is_err() {
            warn!(running = self.tasks.running(), "tasks of the runtime did not end");
        }
        flushed.map_err(|_| budget.exceeded(Step::Flush))?;
        drained.map_err(|_| budget.exceeded(Step::Drain))?;
        self.tasks.take_failure().map_or(Ok(()), Err)
    }
}

fn subjects(prefix: &str) -> Result<Subjects, Error> {
    Subjects::new(prefix).map_err(|error| Error::Settings {
        section: "nats".to_owned(),
        reason: format!("subject_prefix: {error}"),
    })
}

async fn open_storage(
    connections: &Connections,
    subjects: &Subjects,
    provision: bool,
) -> Result<Storage, Error> {
    if provision {
        return Ok(Storage::provision(&connections.storage, subjects).await?);
    }
    let storage = Storage::open(&connections.storage, subjects);
    storage.verify().await?;
    Ok(storage)
}
