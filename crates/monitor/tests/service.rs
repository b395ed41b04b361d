//! The monitor on a real broker, told by what a worker and a producer send.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that uses them"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use leat_contract::micro::{MicroStats, MicroVerb};
use leat_contract::{
    Alert, AlertState, Alias, AssetRole, Canary, Deployment, Encoding, ErrorCode, Label, LabelValue,
    ModelName, ModelTelemetry, ModelVersion, PredictedValue, PredictionBatch, PredictionRecord,
    ProcessTelemetry, RolloutEnd, RolloutEvent, Route, Scalar, Subjects, VersionWindow, Window, WorkerId,
    WorkerTelemetry, encode,
};
use leat_messaging::{ConnectOptions, Connection, Entry, Follower, Position, Storage, StoredMessage};
use leat_monitor::{AlertSettings, Error, Monitor, Settings};
use leat_service_runtime::{Context, Metrics, NatsSettings, Service, serve};
use leat_statistics::LatencyHistogram;
use leat_test_harness::{PATIENCE, broker, eventually};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PREDICTIONS: usize = 10;
const LABELLED: usize = 8;
const CORRECT: usize = 6;

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

struct Running {
    metrics: Metrics,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), leat_service_runtime::Error>>,
}

impl Running {
    /// A monitor with short windows, one of which starts or ends an alert.
    async fn start(url: String) -> Self {
        let settings = Settings {
            window_ms: 100,
            label_grace_ms: 1_000,
            alerts: AlertSettings { windows: 1, ..AlertSettings::default() },
            ..Settings::default()
        };
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

    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }

    async fn shows(&self, line: &str) {
        eventually(&format!("metrics show {line}"), || async {
            self.metrics.encode().unwrap().lines().any(|shown| shown == line).then_some(())
        })
        .await;
    }
}

/// A worker and a producer.
struct Sender {
    connection: Connection,
    storage: Storage,
    subjects: Subjects,
    sequence: AtomicU64,
}

impl Sender {
    async fn connect(url: String) -> Self {
        let subjects = Subjects::default();
        let connection = Connection::connect(&ConnectOptions::new(url, "sender")).await.unwrap();
        let storage = Storage::provision(&connection, &subjects).await.unwrap();
        Self { connection, storage, subjects, sequence: AtomicU64::new(0) }
    }

    async fn telemetry(&self, models: Vec<ModelTelemetry>) {
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
    async fn until_heard(&self, monitor: &Running) {
        let line = format!(r#"leat_worker_cpu_ratio{{worker="{}"}} 0.0"#, worker());
        eventually("the monitor listens", || async {
            self.telemetry(Vec::new()).await;
            monitor.metrics.encode().unwrap().contains(&line).then_some(())
        })
        .await;
    }

    async fn predictions(&self) {
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

    async fn label(&self, number: usize, label: LabelValue) {
        let bytes = encode(Encoding::Json, &Label { request_id: id(number), label, at: None }).unwrap();
        let log = self.storage.event_log(AssetRole::Label);
        log.publish(self.subjects.label(&model()), None, bytes).await.unwrap();
    }

    /// Labels for most predictions, one that has another shape, and one for a request that nobody knows.
    async fn labels(&self) {
        for number in 0..LABELLED {
            let truth = if number < CORRECT { 7 } else { 3 };
            self.label(number, LabelValue::One(Scalar::Integer(truth))).await;
        }
        self.label(LABELLED, LabelValue::Rows(vec![Scalar::Integer(7); 2])).await;
        self.label(PREDICTIONS, LabelValue::One(Scalar::Integer(7))).await;
    }

    async fn until_predictions_are_read(&self) {
        let [_, subject, _] = MicroVerb::Stats.subjects("leat-monitor", "");
        eventually("the predictions are read", || async {
            let reply = self.connection.request(subject.as_str(), "", PATIENCE).await.ok()?;
            let stats: MicroStats = reply.json().unwrap();
            let of = stats.endpoints.iter().find(|endpoint| endpoint.name == "predictions")?;
            (of.num_requests == 1).then_some(())
        })
        .await;
    }

    fn follow(&self, filter: &str) -> Follower {
        self.storage.event_log(AssetRole::Monitor).follow(filter, Position::Beginning)
    }

    /// The next window in which a version answered requests.
    async fn busy_window(&self, windows: &mut Follower) -> Window {
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

fn worker() -> WorkerId {
    "worker-1".parse().unwrap()
}

fn model() -> ModelName {
    "digits".parse().unwrap()
}

fn id(number: usize) -> leat_contract::RequestId {
    format!("r-{number}").parse().unwrap()
}

fn idle(version: u32) -> ModelTelemetry {
    ModelTelemetry {
        model: model(),
        version: ModelVersion::new(version).unwrap(),
        requests: 0,
        rows: 0,
        batches: 0,
        errors: BTreeMap::new(),
        inflight: 0,
        queued: 0,
        latency: Vec::new(),
        queue: Vec::new(),
        compute: Vec::new(),
        shadow: None,
        cache: None,
    }
}

/// 100 requests of which a half failed.
fn failing(version: u32) -> ModelTelemetry {
    let mut latency = LatencyHistogram::new();
    (0..100).for_each(|_| latency.record(2_000_000));
    ModelTelemetry {
        requests: 100,
        rows: 50,
        batches: 10,
        errors: BTreeMap::from([(ErrorCode::Internal, 50)]),
        latency: latency.to_bytes(),
        ..idle(version)
    }
}

fn assert_accuracy(version: &VersionWindow) {
    let live = version.accuracy.as_ref().unwrap();
    assert_eq!(
        (live.predictions, live.matched, live.pending, live.correct),
        (PREDICTIONS as u64, LABELLED as u64, (PREDICTIONS - LABELLED) as u64, CORRECT as u64)
    );
    assert_eq!((live.expired, live.orphans, live.ratio), (0, 1, Some(0.75)));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_alerts_and_metrics_say_what_was_sent_before_and_after_a_restart() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    let monitor = Running::start(broker.url()).await;
    sender.until_heard(&monitor).await;
    sender.predictions().await;
    sender.labels().await;
    sender.until_predictions_are_read().await;
    for reason in ["orphan", "unusable"] {
        let line = format!(r#"leat_labels_unmatched_total{{model="digits",reason="{reason}"}} 1"#);
        monitor.shows(&line).await;
    }

    let mut windows = sender.follow(&sender.subjects.monitor_window_all());
    sender.telemetry(vec![idle(2), failing(1)]).await;
    let window = sender.busy_window(&mut windows).await;
    let [first, second] = window.versions.as_slice() else { panic!("{window:?}") };
    assert_eq!((first.version.get(), second.version.get(), second.requests), (1, 2, 0));
    assert_eq!((first.requests, first.rows, first.requests_per_second), (100, 50, 100.0));
    assert_eq!((first.errors[&ErrorCode::Internal], first.latency_ms.count), (50, 100));
    assert_accuracy(first);

    let mut alerts = sender.follow(&sender.subjects.monitor_alert_all());
    for state in [AlertState::Started, AlertState::Ended] {
        let message = tokio::time::timeout(PATIENCE, alerts.next()).await.expect("no alert");
        let alert: Alert = serde_json::from_slice(message.payload()).unwrap();
        assert_eq!((alert.kind.as_str(), alert.state, alert.value), ("error_ratio", state, 0.5));
    }

    for line in [
        r#"leat_requests_total{model="digits",version="1",outcome="ok"} 50"#,
        r#"leat_requests_total{model="digits",version="1",outcome="500"} 50"#,
        r#"leat_request_duration_seconds_bucket{le="+Inf",model="digits",version="1"} 100"#,
        r#"leat_accuracy_ratio{model="digits",version="1",kind="realized"} 0.75"#,
        "leat_monitor_events_dropped_total 0",
    ] {
        monitor.shows(line).await;
    }
    monitor.stop().await;

    let monitor = Running::start(broker.url()).await;
    sender.until_heard(&monitor).await;
    sender.until_predictions_are_read().await;
    monitor.shows(r#"leat_labels_unmatched_total{model="digits",reason="orphan"} 1"#).await;
    sender.telemetry(vec![failing(1)]).await;
    let window = sender.busy_window(&mut windows).await;
    assert_accuracy(&window.versions[0]);
    monitor.stop().await;
}

/// 1000 requests, of which some failed.
fn answering(version: u32, failed: u64) -> ModelTelemetry {
    let mut latency = LatencyHistogram::new();
    (0..1000).for_each(|_| latency.record(2_000_000));
    let errors = BTreeMap::from([(ErrorCode::Internal, failed)]);
    ModelTelemetry { requests: 1000, errors, latency: latency.to_bytes(), ..idle(version) }
}

fn canary_deployment() -> Deployment {
    let route = |number: u32, weight| Route {
        version: ModelVersion::new(number).unwrap(),
        digest: format!("sha256-{number:064x}").parse().unwrap(),
        weight,
    };
    let mut deployment = Deployment::new(model(), vec![route(1, 90), route(2, 10)]);
    let policy = Canary::new(ModelVersion::new(2).unwrap(), 0);
    deployment.canary = Some(Canary { promote_after_s: 0, ..policy });
    deployment
}

/// Tells what versions do until the canary has ended one way or the other, and until all that was told was heard.
async fn until_ended(
    sender: &Sender,
    monitor: &Running,
    told: &[ModelTelemetry],
    revision: u64,
) -> Entry<Deployment> {
    let deployments = sender.storage.key_value::<Deployment>(AssetRole::Desired);
    let requests = AtomicU64::new(0);
    let ended = eventually("the canary has ended", || async {
        requests.fetch_add(200, Ordering::Relaxed);
        sender.telemetry(told.to_vec()).await;
        let entry = deployments.get(model().as_str()).await.unwrap().unwrap();
        (entry.revision > revision).then_some(entry)
    })
    .await;
    if told.iter().any(|told| told.errors.values().sum::<u64>() == 200) {
        let failed = requests.load(Ordering::Relaxed);
        let line = format!(r#"leat_requests_total{{model="digits",version="2",outcome="500"}} {failed}"#);
        monitor.shows(&line).await;
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_rolled_back_or_promoted_by_what_it_does_and_never_against_a_change_by_hand() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    let monitor = Running::start(broker.url()).await;
    sender.until_heard(&monitor).await;
    let deployments = sender.storage.key_value::<Deployment>(AssetRole::Desired);
    let revision = deployments.put(model().as_str(), &canary_deployment()).await.unwrap();

    let worse = [answering(1, 0), answering(2, 200)];
    let back = until_ended(&sender, &monitor, &worse, revision).await.value;
    assert_eq!((back.routes.len(), back.routes[0].version.get(), back.routes[0].weight), (1, 1, 100));
    assert!(back.canary.is_none());

    let revision = deployments.put(model().as_str(), &canary_deployment()).await.unwrap();
    let alike = [answering(1, 5), answering(2, 5)];
    let promoted = until_ended(&sender, &monitor, &alike, revision).await;
    let Entry { value, revision, .. } = promoted;
    let log = sender.storage.event_log(AssetRole::Events);
    let events = async || {
        let all = sender.subjects.rollout_event_all();
        let stored = log.follow(&all, Position::Beginning).take_stored(10).await.unwrap();
        let read =
            |message: &StoredMessage| serde_json::from_slice::<RolloutEvent>(message.payload()).unwrap();
        stored.iter().map(read).collect::<Vec<_>>()
    };
    let found = (value.routes.len(), value.routes[0].version.get());
    assert_eq!(found, (1, 2), "{:?}", events().await);
    assert_eq!(value.previous.unwrap()[0].version.get(), 1);
    let aliases = sender.storage.key_value::<Alias>(AssetRole::Registry);
    let alias = eventually("the alias moves too", || async {
        aliases.get(&Alias::key(&model(), &"production".parse().unwrap())).await.unwrap()
    })
    .await;
    assert_eq!(alias.value.version.get(), 2);

    let ends = eventually("both ends are told", || async {
        let events = events().await;
        (events.len() == 2).then(|| events.iter().map(|event| event.what).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(ends, [RolloutEnd::RolledBack, RolloutEnd::Promoted]);

    // Without a canary in the document there is nothing to decide, whatever the figures say.
    sender.telemetry(worse.to_vec()).await;
    sender.until_heard(&monitor).await;
    assert_eq!(deployments.get(model().as_str()).await.unwrap().unwrap().revision, revision);
    monitor.stop().await;
}
