use std::collections::BTreeMap;

use leat_contract::{
    AlertState, ErrorCode, LabelValue, ModelTelemetry, PredictedValue, PredictionRecord, ProcessTelemetry,
    Scalar,
};
use leat_statistics::LatencyHistogram;
use prometheus_client::registry::Registry;

use super::*;

fn known() -> Desired {
    Desired { is_known: true, ..Desired::default() }
}

/// Ends the window when both streams were read to their end.
fn close(observatory: &mut Observatory, desired: &Desired, now: u64) -> Closed {
    observatory.close(desired, Watermarks { predictions: now, labels: now }, now)
}

fn encoded(metrics: &ModelMetrics) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics.clone()));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

fn observatory() -> Observatory {
    Observatory::new(Settings::default(), ModelMetrics::default(), 0)
}

fn told(model: &str, version: u32, requests: u64) -> ModelTelemetry {
    let mut latency = LatencyHistogram::new();
    (0..requests).for_each(|_| latency.record(1_000_000));
    ModelTelemetry {
        model: model.parse().unwrap(),
        version: ModelVersion::new(version).unwrap(),
        requests,
        rows: requests,
        batches: requests,
        errors: BTreeMap::new(),
        inflight: 0,
        queued: 0,
        latency: if requests > 0 { latency.to_bytes() } else { Vec::new() },
        queue: Vec::new(),
        compute: Vec::new(),
        shadow: None,
        cache: None,
        runs: Vec::new(),
    }
}

fn report(sequence: u64, models: Vec<ModelTelemetry>) -> WorkerTelemetry {
    WorkerTelemetry {
        worker: "worker-1".parse().unwrap(),
        epoch: 1,
        sequence,
        interval_ms: 1_000,
        process: ProcessTelemetry { cpu_seconds_total: 1.0, resident_bytes: 5 },
        models,
    }
}

#[test]
fn idle_and_unreadable_versions_do_not_cost_the_others_of_their_report() {
    let mut observatory = observatory();
    let mut broken = told("digits", 2, 1);
    broken.queue = vec![1, 2, 3];
    let mut failing = told("digits", 3, 7);
    failing.errors = BTreeMap::from([(ErrorCode::Internal, 7)]);
    observatory.telemetry(report(0, vec![told("digits", 1, 0), broken, failing]), 1_000);
    let closed = close(&mut observatory, &Desired::default(), 2_000);
    let requests: Vec<_> =
        closed.windows[0].versions.iter().map(|told| (told.version.get(), told.requests)).collect();
    assert_eq!(requests, [(1, 0), (3, 7)]);
    assert_eq!(closed.windows[0].versions[1].errors[&ErrorCode::Internal], 7);
}

#[test]
fn an_alert_of_a_version_that_is_no_longer_told_ends() {
    let mut observatory = observatory();
    let mut failing = told("digits", 3, 100);
    failing.errors = BTreeMap::from([(ErrorCode::Internal, 100)]);
    let mut states = Vec::new();
    for window in 0..5_u64 {
        let models = if window < 2 { vec![failing.clone()] } else { vec![told("digits", 2, 100)] };
        observatory.telemetry(report(window, models), window * 2_000 + 1_000);
        let alerts = close(&mut observatory, &known(), (window + 1) * 2_000).alerts;
        states.extend(alerts.into_iter().map(|alert| (window, alert.kind, alert.state)));
    }
    let kind = "error_ratio".to_owned();
    assert_eq!(states, [(1, kind.clone(), AlertState::Started), (3, kind, AlertState::Ended)]);
}

#[test]
fn a_worker_that_left_in_order_leaves_no_gauge_behind() {
    let mut observatory = observatory();
    let mut busy = told("digits", 1, 1);
    busy.inflight = 5;
    observatory.telemetry(report(0, vec![busy]), 1_000);
    close(&mut observatory, &known(), 2_000);
    assert!(encoded(&observatory.metrics).contains("worker-1"));
    close(&mut observatory, &known(), 20_000);
    let text = encoded(&observatory.metrics);
    assert!(!text.contains("worker-1"), "{text}");
    assert!(text.contains(r#"inflight_requests{model="digits",version="1"} 0.0"#), "{text}");
}

fn predictions(model: &str, id: &str) -> PredictionBatch {
    let record = PredictionRecord {
        request_id: id.parse().unwrap(),
        version: ModelVersion::FIRST,
        at: 0,
        rows: vec![PredictedValue::Class { label: "7".to_owned(), probability: 1.0 }],
    };
    PredictionBatch {
        worker: "worker-1".parse().unwrap(),
        model: model.parse().unwrap(),
        records: vec![record],
    }
}

fn label(id: &str, label: LabelValue) -> Label {
    Label { request_id: id.parse().unwrap(), label, at: None }
}

#[test]
fn no_sender_can_fill_the_memory_with_models() {
    let settings = Settings { models_max: 2, ..Settings::default() };
    let mut observatory = Observatory::new(settings, ModelMetrics::default(), 0);
    let models: Vec<_> = (0..50).map(|number| told(&format!("m-{number}"), 1, 1)).collect();
    observatory.telemetry(report(0, models), 1_000);
    assert_eq!(close(&mut observatory, &known(), 2_000).windows.len(), 2);
    let text = encoded(&observatory.metrics);
    assert_eq!(text.matches("inferences_total{").count(), 2, "{text}");
    assert!(text.contains("monitor_events_dropped_total 48"), "{text}");
}

#[test]
fn figures_of_a_version_that_is_over_are_dropped() {
    let mut observatory = observatory();
    observatory.telemetry(report(0, vec![told("digits", 1, 1)]), 1_000);
    observatory.predictions(predictions("digits", "r-1"), 1_000);
    close(&mut observatory, &known(), 2_000);
    assert!(encoded(&observatory.metrics).contains("digits"));
    assert_eq!(observatory.joins.len(), 1);
    close(&mut observatory, &known(), 4_000_000);
    assert!(!encoded(&observatory.metrics).contains("digits"));
    assert!(observatory.joins.is_empty(), "nothing waits and nothing is deployed");
}

#[test]
fn labels_that_cannot_be_compared_are_counted_by_reason() {
    let mut observatory = observatory();
    observatory.oldest_prediction(1_000, true);
    observatory.predictions(predictions("digits", "r-1"), 1_000);
    let model: ModelName = "digits".parse().unwrap();
    observatory.label(model.clone(), label("r-1", LabelValue::Targets(vec![vec![1.0]])), 2_000);
    observatory.label(model, label("nobody", LabelValue::One(Scalar::Integer(7))), 2_000);
    close(&mut observatory, &Desired::default(), 63_000);
    let text = encoded(&observatory.metrics);
    for reason in ["orphan", "unusable"] {
        let line = format!(r#"labels_unmatched_total{{model="digits",reason="{reason}"}} 1"#);
        assert!(text.contains(&line), "no {line} in\n{text}");
    }
}

#[test]
fn labels_of_predictions_that_are_kept_no_longer_are_no_orphans() {
    let mut observatory = observatory();
    let hour = Settings::default().label_wait_ms;
    let model: ModelName = "digits".parse().unwrap();
    for at in [hour, 3 * hour] {
        observatory.label(model.clone(), label(&format!("r-{at}"), LabelValue::One(Scalar::Integer(7))), at);
    }
    observatory.oldest_prediction(hour + 1, false);
    observatory.predictions(predictions("digits", "r-1"), hour + 1);
    close(&mut observatory, &Desired::default(), 5 * hour);
    let text = encoded(&observatory.metrics);
    assert!(text.contains(r#"labels_unmatched_total{model="digits",reason="orphan"} 1"#), "{text}");
}
