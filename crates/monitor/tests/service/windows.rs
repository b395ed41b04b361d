//! Windows, alerts, metrics and canaries, told by what a worker and a producer send.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use leat_contract::{
    Alert, AlertState, Alias, AssetRole, Canary, Deployment, ErrorCode, ModelTelemetry, ModelVersion,
    RolloutEnd, RolloutEvent, Route, VersionWindow,
};
use leat_messaging::{Entry, Position, StoredMessage};
use leat_statistics::LatencyHistogram;
use leat_test_harness::{PATIENCE, broker, eventually};

use crate::support::{CORRECT, LABELLED, PREDICTIONS, Running, Sender, model};

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
        runs: Vec::new(),
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
