use std::collections::BTreeMap;

use leat_contract::{ErrorCode, ModelTelemetry, ModelVersion, ProcessTelemetry};
use leat_statistics::LatencyHistogram;

use super::*;

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
