//! What comes in and what goes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_contract::{AssetRole, Label, PredictionBatch, Subjects, WorkerTelemetry, decode};
use leat_messaging::micro::{EndpointInfo, EndpointStats, ServiceInfo};
use leat_messaging::{Position, StoredMessage, Subscription, micro};
use leat_service_runtime::{Context, Service, unix_ms};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::canary::Decision;
use crate::desired::{self, Desired};
use crate::metrics::ModelMetrics;
use crate::observatory::Observatory;
use crate::overdue::Overdue;
use crate::progress::Progress;
use crate::publisher::{Outbox, outbox};
use crate::{Error, Settings, rollouts};

/// The monitor.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
}

impl Monitor {
    /// Gives a monitor with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Service for Monitor {
    type Settings = Settings;
    type Error = Error;

    const NAME: &'static str = "monitor";

    async fn run(self, context: Context) -> Result<(), Error> {
        let metrics = ModelMetrics::default();
        context.metrics.register(|registry| registry.register_collector(Box::new(metrics.clone())));
        let window = Duration::from_millis(self.settings.window_ms);
        let (listings, desired) = watch::channel(Desired::default());
        let overdue = Overdue::new(&context.storage, &self.settings, metrics.clone(), desired.clone());
        let observatory = Observatory::new(self.settings, metrics, unix_ms());
        let (outbox, publisher) = outbox(&context.subjects);
        let (decisions, to_write) = mpsc::channel(rollouts::DECISIONS_MAX);
        let watching = Watching::start(&context, observatory, outbox, decisions).await?;
        context.tasks.spawn("overdue", until_stopped(&context, overdue.watch()));
        context.tasks.spawn(
            "desired",
            until_stopped(&context, desired::follow(context.storage.clone(), window, listings)),
        );
        // The publisher ends when the watching task, which holds the outbox, has handed in its last window.
        context.tasks.spawn_finite("publisher", publisher.run(context.storage.clone()));
        let writing = rollouts::write(context.storage.clone(), context.subjects.clone(), to_write);
        context.tasks.spawn_finite("rollouts", writing);
        context.tasks.spawn("watching", watching.run(window, desired, context.clone()));
        context.readiness.set_ready();
        context.shutdown.cancelled().await;
        Ok(())
    }
}

/// Ends a task that would run for ever when the service stops.
fn until_stopped<F>(context: &Context, endless: F) -> impl Future<Output = F::Output> + Send + use<F>
where
    F: Future<Output = Result<(), std::convert::Infallible>> + Send,
{
    let shutdown = context.shutdown.clone();
    async move { shutdown.run_until_cancelled(endless).await.unwrap_or(Ok(())) }
}

/// The counts that `nats micro stats` shows.
struct Endpoints {
    telemetry: Arc<EndpointStats>,
    predictions: Arc<EndpointStats>,
    labels: Arc<EndpointStats>,
}

struct Watching {
    observatory: Observatory,
    outbox: Outbox,
    decisions: mpsc::Sender<Decision>,
    telemetry: Subscription,
    telemetry_subject: String,
    progress: Progress,
    /// Whether the oldest prediction that is kept was seen.
    has_begun: bool,
    endpoints: Endpoints,
    _micro: micro::Service,
}

impl Watching {
    async fn start(
        context: &Context,
        observatory: Observatory,
        outbox: Outbox,
        decisions: mpsc::Sender<Decision>,
    ) -> Result<Self, Error> {
        let telemetry_subject = context.subjects.telemetry_all();
        let telemetry = context.connections.ingest.subscribe(telemetry_subject.as_str()).await?;
        let info = ServiceInfo {
            name: format!("{}-monitor", context.subjects.prefix()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "merges telemetry and labels into windows, alerts and metrics".to_owned(),
            metadata: BTreeMap::new(),
        };
        let micro =
            micro::Service::start(&context.connections.control, context.instance.as_str(), info).await?;
        let endpoints = Endpoints::add(&micro, &context.subjects)?;
        let stored = |role| context.storage.event_log(role);
        let progress = Progress::new(
            stored(AssetRole::Prediction).messages().await? > 0,
            stored(AssetRole::Label).messages().await? > 0,
        );
        Ok(Self {
            observatory,
            outbox,
            decisions,
            telemetry,
            telemetry_subject,
            progress,
            has_begun: false,
            endpoints,
            _micro: micro,
        })
    }

    async fn run(
        mut self,
        window: Duration,
        desired: watch::Receiver<Desired>,
        context: Context,
    ) -> Result<(), Error> {
        let follow =
            |role, filter: String| context.storage.event_log(role).follow(&filter, Position::Beginning);
        let mut predictions = follow(AssetRole::Prediction, context.subjects.prediction_all());
        let mut labels = follow(AssetRole::Label, context.subjects.label_all());
        let mut ticks = tokio::time::interval(window);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                () = context.shutdown.cancelled() => break,
                message = self.telemetry.next() => match message {
                    Some(message) => self.take_telemetry(message.payload()),
                    None => return Err(Error::SubscriptionEnded { subject: self.telemetry_subject }),
                },
                message = predictions.next(), if self.progress.takes_predictions() => {
                    self.take_predictions(&message);
                }
                message = labels.next(), if self.progress.takes_labels() => {
                    self.take_label(&message, &context.subjects);
                }
                _ = ticks.tick() => {
                    self.progress.tick();
                    self.close_window(&desired.borrow());
                }
            }
        }
        // What arrived since the last window is not lost.
        self.close_window(&desired.borrow());
        Ok(())
    }

    fn take_telemetry(&mut self, payload: &[u8]) {
        let began = Instant::now();
        let outcome = decode::<WorkerTelemetry>(payload);
        self.endpoints.telemetry.record(began.elapsed(), as_outcome(&outcome));
        match outcome {
            Ok((report, _)) => self.observatory.telemetry(report, unix_ms()),
            Err(error) => self.drop_message("telemetry", &error),
        }
    }

    fn take_predictions(&mut self, message: &StoredMessage) {
        let began = Instant::now();
        let stored_at = message.stored_at_ms();
        if !self.has_begun {
            self.has_begun = true;
            self.observatory.oldest_prediction(stored_at, message.sequence() == 1);
        }
        self.progress.read_predictions(stored_at, message.pending());
        let outcome = decode::<PredictionBatch>(message.payload());
        self.endpoints.predictions.record(began.elapsed(), as_outcome(&outcome));
        match outcome {
            Ok((batch, _)) => self.observatory.predictions(batch, stored_at),
            Err(error) => self.drop_message("predictions", &error),
        }
    }

    fn take_label(&mut self, message: &StoredMessage, subjects: &Subjects) {
        let began = Instant::now();
        let stored_at = message.stored_at_ms();
        self.progress.read_label(stored_at, message.pending());
        let Some(model) = subjects.parse_label(message.subject()) else { return };
        let outcome = decode::<Label>(message.payload());
        self.endpoints.labels.record(began.elapsed(), as_outcome(&outcome));
        match outcome {
            Ok((label, _)) => self.observatory.label(model, label, stored_at),
            Err(error) => self.drop_message("label", &error),
        }
    }

    fn drop_message(&self, what: &'static str, error: &leat_contract::Error) {
        tracing::warn!(%error, what, "a message that cannot be read is dropped");
        self.observatory.dropped_event();
    }

    fn close_window(&mut self, desired: &Desired) {
        let now = unix_ms();
        let closed = self.observatory.close(desired, self.progress.watermarks(now), now);
        for alert in &closed.alerts {
            tracing::info!(id = alert.id, state = ?alert.state, message = alert.message, "alert");
        }
        for decision in closed.decisions {
            // One that finds no room is made again by the next windows.
            let _ = self.decisions.try_send(decision);
        }
        let windows_sent = closed.windows.iter().all(|window| self.outbox.window(window));
        let alerts_sent = closed.alerts.iter().all(|alert| self.outbox.alert(alert));
        if !(windows_sent && alerts_sent) {
            tracing::warn!("the broker takes windows and alerts too slowly; some are lost");
            self.observatory.dropped_event();
        }
    }
}

impl Endpoints {
    fn add(micro: &micro::Service, subjects: &Subjects) -> Result<Self, Error> {
        let add = |name: &str, subject: String| {
            let info = EndpointInfo { name: name.to_owned(), subject, ..EndpointInfo::default() };
            micro.add_endpoint(info)
        };
        Ok(Self {
            telemetry: add("telemetry", subjects.telemetry_all())?,
            predictions: add("predictions", subjects.prediction_all())?,
            labels: add("labels", subjects.label_all())?,
        })
    }
}

/// For the counts: whether a message could be read.
fn as_outcome<T>(outcome: &Result<T, leat_contract::Error>) -> Result<(), &'static str> {
    outcome.as_ref().map(|_| ()).map_err(|_| "a message that cannot be read")
}
