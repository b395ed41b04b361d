//! A broker, workers and a producer.

use std::time::Duration;

use leat_broker::Broker;
use leat_contract::assets::AssetRole;
use leat_contract::{Deployment, ModelName, ModelVersion, Route, Subjects, WorkerId, WorkerLease};
use leat_inference_worker::{InferenceWorker, Settings};
use leat_messaging::{ConnectOptions, Connection, Error, Reply, Storage};
use leat_service_runtime::{NatsSettings, serve};
use leat_test_harness::{PATIENCE, eventually};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What one request of a test may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    pub(crate) broker: Broker,
    pub(crate) connection: Connection,
    pub(crate) storage: Storage,
    pub(crate) subjects: Subjects,
}

pub(crate) struct Worker {
    pub(crate) name: String,
    stop: CancellationToken,
    running: JoinHandle<Result<(), leat_service_runtime::Error>>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let broker = leat_test_harness::broker().await;
        let options = ConnectOptions::new(broker.url(), "test producer").own_thread();
        let connection = Connection::connect(&options).await.unwrap();
        let subjects = Subjects::default();
        let storage = Storage::provision(&connection, &subjects).await.unwrap();
        Self { broker, connection, storage, subjects }
    }

    /// A cluster with one worker that serves one blob as version 1.
    pub(crate) async fn serving(blob: &[u8]) -> (Self, Worker) {
        let cluster = Self::start().await;
        let worker = cluster.worker("w1", quick()).await;
        let route = cluster.store(1, 100, blob).await;
        let revision = cluster.deploy(&deployment(vec![route])).await;
        cluster.applied(&worker, revision).await;
        (cluster, worker)
    }

    pub(crate) async fn worker(&self, name: &str, settings: Settings) -> Worker {
        let nats = NatsSettings {
            url: self.broker.url(),
            instance: Some(WorkerId::new(name).unwrap()),
            ..NatsSettings::default()
        };
        let all = leat_service_runtime::Settings {
            nats,
            service: settings.clone(),
            ..leat_service_runtime::Settings::default()
        };
        let stop = CancellationToken::new();
        let token = stop.clone();
        let running = tokio::spawn(async move { serve(&all, InferenceWorker::new(settings), token).await });
        let worker = Worker { name: name.to_owned(), stop, running };
        self.lease_when(&worker, |_| true).await;
        worker
    }

    /// Stores a blob and gives a route to it.
    pub(crate) async fn store(&self, version: u32, weight: u32, blob: &[u8]) -> Route {
        let digest = self.storage.objects(AssetRole::Models).put(blob).await.unwrap();
        Route { version: ModelVersion::new(version).unwrap(), digest, weight }
    }

    pub(crate) async fn deploy(&self, deployment: &Deployment) -> u64 {
        let desired = self.storage.key_value::<Deployment>(AssetRole::Desired);
        desired.put(deployment.model.as_str(), deployment).await.unwrap()
    }

    pub(crate) async fn undeploy(&self, model: &ModelName) {
        self.storage.key_value::<Deployment>(AssetRole::Desired).delete(model.as_str()).await.unwrap();
    }

    /// Waits until a worker says that it has put a revision in force.
    pub(crate) async fn applied(&self, worker: &Worker, revision: u64) -> WorkerLease {
        self.lease_when(worker, |lease| {
            lease.deployment_revisions.values().any(|applied| *applied >= revision)
        })
        .await
    }

    /// Waits until the lease of a worker is as given.
    pub(crate) async fn lease_when(
        &self,
        worker: &Worker,
        condition: impl Fn(&WorkerLease) -> bool,
    ) -> WorkerLease {
        let leases = self.storage.key_value::<WorkerLease>(AssetRole::Actual);
        let matching = async {
            let mut watch = leases.watch().unwrap();
            loop {
                if let Ok(leat_messaging::Watched::Change(change)) = watch.next().await
                    && change.key == worker.name
                    && let Some(lease) = change.value
                    && condition(&lease)
                {
                    return lease;
                }
            }
        };
        tokio::time::timeout(PATIENCE, matching).await.expect("the lease never was as expected")
    }

    pub(crate) fn live(&self) -> String {
        self.subjects.infer(&model())
    }

    pub(crate) fn pinned(&self, version: u32) -> String {
        self.subjects.infer_version(&model(), ModelVersion::new(version).unwrap())
    }

    pub(crate) async fn ask(&self, subject: String, payload: impl Into<Vec<u8>>) -> Result<Reply, Error> {
        self.connection.request(subject, payload.into(), ANSWER).await
    }

    /// Asks on the live route in JSON.
    pub(crate) async fn predict(&self, payload: &str) -> Result<Value, Error> {
        self.ask(self.live(), payload).await.map(|reply| reply.json().unwrap())
    }

    /// The figures of the micro protocol once they are of so many requests: a request is counted when its answer is on its way.
    pub(crate) async fn figures_of(&self, requests: u64) -> Value {
        let figures = || async {
            let figures = self.ask("$SRV.STATS.leat-inference-worker".to_owned(), "").await.unwrap();
            let figures: Value = figures.json().unwrap();
            let found = figures["endpoints"][0]["num_requests"].as_u64().unwrap();
            assert!(found <= requests, "{figures}");
            (found == requests).then_some(figures)
        };
        eventually(&format!("the figures of {requests} requests"), figures).await
    }
}

impl Worker {
    /// Asks the worker to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// The model of every test.
pub(crate) fn model() -> ModelName {
    "tiny".parse().unwrap()
}

/// Settings that report often, so that tests need not wait.
pub(crate) fn quick() -> Settings {
    Settings {
        telemetry_interval_ms: 50,
        load_retry_min_ms: 10,
        load_retry_max_ms: 100,
        ..Settings::default()
    }
}

pub(crate) fn deployment(routes: Vec<Route>) -> Deployment {
    Deployment::new(model(), routes)
}
