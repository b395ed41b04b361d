use std::collections::BTreeMap;

use leat_contract::{AlertState, ErrorCode, ModelTelemetry, ModelVersion, ProcessTelemetry};
use leat_statistics::LatencyHistogram;
use prometheus_client::registry::Registry;

use super::*;

fn known() -> Desired {
    Desired { is_known: true, ..Desired::default() }
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
    observatory.telemetry(&report(0, vec![told("digits", 1, 0), broken, failing]), 1_000);
    let closed = observatory.close(&Desired::default(), 2_000);
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
        observatory.telemetry(&report(window, models), window * 2_000 + 1_000);
        let alerts = observatory.close(&known(), (window + 1) * 2_000).alerts;
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
    observatory.telemetry(&report(0, vec![busy]), 1_000);
    observatory.close(&known(), 2_000);
    assert!(encoded(&observatory.metrics).contains("worker-1"));
    observatory.close(&known(), 20_000);
    let text = encoded(&observatory.metrics);
    assert!(!text.contains("worker-1"), "{text}");
    assert!(text.contains(r#"inflight_requests{model="digits",version="1"} 0.0"#), "{text}");
}
