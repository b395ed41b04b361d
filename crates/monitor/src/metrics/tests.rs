use std::collections::BTreeMap;

use leat_contract::{ErrorCode, ModelTelemetry};
use leat_statistics::LatencyHistogram;
use prometheus_client::registry::Registry;

use super::*;

fn told(requests: u64) -> ModelTelemetry {
    let mut latency = LatencyHistogram::new();
    (0..requests).for_each(|_| latency.record(2_000_000_000));
    // Beyond the last edge.
    latency.record(30_000_000_000);
    ModelTelemetry {
        model: "digits".parse().unwrap(),
        version: "3".parse().unwrap(),
        requests: requests + 1,
        rows: requests,
        batches: 1,
        errors: BTreeMap::from([(ErrorCode::Overloaded, 1)]),
        inflight: 2,
        queued: 4,
        latency: latency.to_bytes(),
        queue: Vec::new(),
        compute: Vec::new(),
        shadow: Some(ShadowCounts {
            mirrored: 5,
            dropped: 2,
            failed: 1,
            rows: 8,
            disagreements: 3,
            difference_max: 0.5,
        }),
        cache: Some(CacheFigures { hits: 3, misses: 1 }),
        runs: Vec::new(),
    }
}

fn encoded(metrics: &ModelMetrics) -> String {
    let mut registry = Registry::with_prefix("leat");
    registry.register_collector(Box::new(metrics.clone()));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn every_metric_has_the_name_and_suffixes_that_prometheus_expects() {
    let metrics = ModelMetrics::default();
    metrics.add(&"worker-1".parse().unwrap(), &VersionReport::read(&told(4)).unwrap());
    let text = encoded(&metrics);
    let of = r#"{model="digits",version="3""#;
    for line in [
        format!("leat_requests_total{of},outcome=\"ok\"}} 4"),
        format!("leat_requests_total{of},outcome=\"429\"}} 1"),
        format!("leat_inferences_total{of}}} 4"),
        format!("leat_batches_total{of}}} 1"),
        format!("leat_inflight_requests{of}}} 2.0"),
        format!("leat_pending_requests{of}}} 4.0"),
        format!("leat_request_duration_seconds_count{of}}} 5"),
        format!("leat_request_duration_seconds_bucket{{le=\"1.0\",{}}} 0", &of[1..]),
        format!("leat_request_duration_seconds_bucket{{le=\"2.5\",{}}} 4", &of[1..]),
        format!("leat_request_duration_seconds_bucket{{le=\"+Inf\",{}}} 5", &of[1..]),
        format!("leat_stage_duration_seconds_bucket{{le=\"+Inf\",{},stage=\"queue\"}} 0", &of[1..]),
        format!("leat_shadow_requests_total{of},outcome=\"answered\"}} 4"),
        format!("leat_shadow_requests_total{of},outcome=\"dropped\"}} 2"),
        format!("leat_shadow_rows_total{of},outcome=\"disagrees\"}} 3"),
        format!("leat_shadow_rows_total{of},outcome=\"agrees\"}} 5"),
        format!("leat_cache_requests_total{of},outcome=\"hit\"}} 3"),
        "leat_monitor_events_dropped_total 0".to_owned(),
        "leat_monitor_sketch_gaps_total 0".to_owned(),
    ] {
        assert!(text.lines().any(|told| told == line), "no line {line} in\n{text}");
    }
}
