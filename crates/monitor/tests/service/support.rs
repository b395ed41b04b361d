//! A monitor, and whoever sends to it.

use std::sync::atomic::{AtomicU64, Ordering};

use leat_contract::micro::{MicroStats, MicroVerb};
use leat_contract::{
    AssetRole, Encoding, Label, LabelValue, ModelName, ModelTelemetry, ModelVersion, PredictedValue,
    PredictionBatch, PredictionRecord, ProcessTelemetry, Scalar, Subjects, Window, WorkerId, WorkerTelemetry,
    encode,
};
use leat_messaging::{ConnectOptions, Connection, Follower, Position, Storage};
use leat_monitor::{AlertSettings, Error, Monitor, Settings};
use leat_service_runtime::{Context, Metrics, NatsSettings, Service, serve};
use leat_test_harness::{PATIENCE, eventually};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PREDICTIONS: usize = 10;
pub(crate) const LABELLED: usize = 8;
pub(crate) const CORRECT: usize = 6;

/// The monitor, which also hands out what `/metrics` shows.
struct Observed {
    monitor: Monitor,
    metrics: oneshot::Sender<Metrics>,
}

impl Service for Observed {
    type Settings = Settings;
    type Error = Error;

    const NAME: &'static str = Monitor::NAME;

    async fn run(self, context: Context) -> Result<(), Error> {
        self.metrics.send(context.metrics.clone()).unwrap();
        self.monitor.run(context).await
    }
}

pub(crate) struct Running {
    pub(crate) metrics: Metrics,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), leat_service_runtime::Error>>,
}

impl Running {
    /// A monitor with short windows, one of which starts or ends an alert.
    pub(crate) async fn start(url: String) -> Self {
        Self::start_with(url, |_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(url: String, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            window_ms: 100,
            label_grace_ms: 1_000,
            durable_grace_ms: 400,
            alerts: AlertSettings { windows: 1, ..AlertSettings::default() },
            ..Settings::default()
        };
        change(&mut settings);
        let all = leat_service_runtime::Settings {
            nats: NatsSettings { url, ..NatsSettings::default() },
            service: settings.clone(),
            ..leat_service_runtime::Settings::default()
        };
        let (sender, metrics) = oneshot::channel();
        let stop = CancellationToken::new();
        let observed = Observed { monitor: Monitor::new(settings), metrics: sender };
        let token = stop.clone();
        let ended = tokio::spawn(async move { serve(&all, observed, token).await });
        Self { metrics: metrics.await.unwrap(), stop, ended }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }

    pub(crate) async fn shows(&self, line: &str) {
        eventually(&format!("metrics show {line}"), || async {
            self.metrics.encode().unwrap().lines().any(|shown| shown == line).then_some(())
        })
        .await;
    }
}

/// A worker and a producer.
pub(crate) struct Sender {
    pub(crate) connection: Connection,
    pub(crate) storage: Storage,
    pub(crate) subjects: Subjects,
    sequence: AtomicU64,
}

impl Sender {
    pub(crate) async fn connect(url: String) -> Self {
        let subjects = Subjects::default();
        let connection = Connection::connect(&ConnectOptions::new(url, "sender")).await.unwrap();
        let storage = Storage::provision(&connection, &subjects).await.unwrap();
        Self { connection, storage, subjects, sequence: AtomicU64::new(0) }
    }

    pub(crate) async fn telemetry(&self, models: Vec<ModelTelemetry>) {
        let report = WorkerTelemetry {
            worker: worker(),
            epoch: 1,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            interval_ms: 1_000,
            process: ProcessTelemetry { cpu_seconds_total: 0.0, resident_bytes: 1 },
            models,
        };
        let bytes = encode(Encoding::MessagePack, &report).unwrap();
        self.connection.publish(self.subjects.telemetry(&worker()), bytes).await.unwrap();
        self.connection.flush(PATIENCE).await.unwrap();
    }

    /// Telemetry is not stored, so what is to be counted may only be sent once somebody listens.
    pub(crate) async fn until_heard(&self, monitor: &Running) {
        let line = format!(r#"leat_worker_cpu_ratio{{worker="{}"}} 0.0"#, worker());
        eventually("the monitor listens", || async {
            self.telemetry(Vec::new()).await;
            monitor.metrics.encode().unwrap().contains(&line).then_some(())
        })
        .await;
    }

    pub(crate) async fn predictions(&self) {
        let rows = || vec![PredictedValue::Class { label: "7".to_owned(), probability: 0.9 }];
        let record = |number| PredictionRecord {
            request_id: id(number),
            version: ModelVersion::FIRST,
            at: 0,
            rows: rows(),
        };
        let records = (0..PREDICTIONS).map(record).collect();
        let batch = PredictionBatch { worker: worker(), model: model(), records };
        let bytes = encode(Encoding::MessagePack, &batch).unwrap();
        let log = self.storage.event_log(AssetRole::Prediction);
        log.publish(self.subjects.prediction(&model()), None, bytes).await.unwrap();
    }

    pub(crate) async fn label(&self, number: usize, label: LabelValue) {
        let bytes = encode(Encoding::Json, &Label { request_id: id(number), label, at: None }).unwrap();
        let log = self.storage.event_log(AssetRole::Label);
        log.publish(self.subjects.label(&model()), None, bytes).await.unwrap();
    }

    /// Labels for most predictions, one that has another shape, and one for a request that nobody knows.
    pub(crate) async fn labels(&self) {
        for number in 0..LABELLED {
            let truth = if number < CORRECT { 7 } else { 3 };
            self.label(number, LabelValue::One(Scalar::Integer(truth))).await;
        }
        self.label(LABELLED, LabelValue::Rows(vec![Scalar::Integer(7); 2])).await;
        self.label(PREDICTIONS, LabelValue::One(Scalar::Integer(7))).await;
    }

    pub(crate) async fn until_predictions_are_read(&self) {
        let [_, subject, _] = MicroVerb::Stats.subjects("leat-monitor", "");
        eventually("the predictions are read", || async {
            let reply = self.connection.request(subject.as_str(), "", PATIENCE).await.ok()?;
            let stats: MicroStats = reply.json().unwrap();
            let of = stats.endpoints.iter().find(|endpoint| endpoint.name == "predictions")?;
            (of.num_requests == 1).then_some(())
        })
        .await;
    }

    pub(crate) fn follow(&self, filter: &str) -> Follower {
        self.storage.event_log(AssetRole::Monitor).follow(filter, Position::Beginning)
    }

    /// The next window in which a version answered requests.
    pub(crate) async fn busy_window(&self, windows: &mut Follower) -> Window {
        let busy = async {
            loop {
                let message = windows.next().await;
                let window: Window = serde_json::from_slice(message.payload()).unwrap();
                if window.versions.iter().any(|version| version.requests > 0) {
                    return window;
                }
            }
        };
        tokio::time::timeout(PATIENCE, busy).await.expect("no window tells of requests")
    }
}

pub(crate) fn worker() -> WorkerId {
    "worker-1".parse().unwrap()
}

pub(crate) fn model() -> ModelName {
    "digits".parse().unwrap()
}

pub(crate) fn id(number: usize) -> leat_contract::RequestId {
    format!("r-{number}").parse().unwrap()
}
