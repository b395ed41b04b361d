use leat_contract::{ModelTelemetry, ProcessTelemetry};

use super::*;

fn delta(latencies_ms: &[u64]) -> Vec<u8> {
    let mut latency = LatencyHistogram::new();
    latencies_ms.iter().for_each(|milliseconds| latency.record(milliseconds * 1_000_000));
    if latency.is_empty() { Vec::new() } else { latency.to_bytes() }
}

fn told(version: u32, latencies_ms: &[u64]) -> ModelTelemetry {
    ModelTelemetry {
        model: "digits".parse().unwrap(),
        version: ModelVersion::new(version).unwrap(),
        requests: latencies_ms.len() as u64,
        rows: latencies_ms.len() as u64,
        batches: 2,
        errors: BTreeMap::from([(ErrorCode::Overloaded, 1)]),
        inflight: 0,
        queued: 0,
        latency: delta(latencies_ms),
        queue: Vec::new(),
        compute: Vec::new(),
        shadow: None,
        cache: None,
        runs: Vec::new(),
    }
}

fn report(worker: &str, models: Vec<ModelTelemetry>) -> WorkerTelemetry {
    WorkerTelemetry {
        worker: worker.parse().unwrap(),
        epoch: 1,
        sequence: 0,
        interval_ms: 1_000,
        process: ProcessTelemetry { cpu_seconds_total: 1.0, resident_bytes: 5 },
        models,
    }
}

fn add(builder: &mut WindowBuilder, report: &WorkerTelemetry, missed: u64) {
    builder.heard(report, 0.1, missed);
    for told in &report.models {
        let covered = Duration::from_millis(report.interval_ms);
        builder.add(&report.worker, covered, &VersionReport::read(told).unwrap()).unwrap();
    }
}

#[test]
fn quantiles_are_those_of_all_workers_together() {
    let mut builder = WindowBuilder::new(0);
    add(&mut builder, &report("worker-1", vec![told(2, &[]), told(1, &[1; 98])]), 0);
    add(&mut builder, &report("worker-2", vec![told(1, &[500, 500])]), 3);
    let windows = builder.close(2_000);
    assert_eq!(windows.len(), 1);
    let version = &windows[0].versions[0];
    assert_eq!(
        (version.requests, version.errors[&ErrorCode::Overloaded], version.latency_ms.count),
        (100, 2, 100)
    );
    assert_eq!(version.requests_per_second, 100.0);
    assert!((version.latency_ms.p50 - 1.0).abs() < 0.001, "{version:?}");
    assert!(
        (version.latency_ms.p99 - 500.0).abs() < 0.5,
        "the mean of two p99s would be 250 ms: {version:?}"
    );
    assert_eq!(windows[0].workers.len(), 2);
    assert_eq!(windows[0].telemetry_gaps, 3);
}

#[test]
fn a_window_begins_where_the_last_one_ended() {
    let mut builder = WindowBuilder::new(0);
    add(&mut builder, &report("worker-1", vec![told(1, &[1])]), 0);
    assert_eq!(builder.close(2_000).len(), 1);
    add(&mut builder, &report("worker-1", vec![told(1, &[1])]), 0);
    let next = builder.close(4_000);
    assert_eq!((next[0].start, next[0].end, next[0].versions[0].requests), (2_000, 4_000, 1));
    assert!(builder.close(6_000).is_empty());
}

#[test]
fn nothing_of_a_window_is_left_in_the_next_one() {
    let mut builder = WindowBuilder::new(0);
    add(&mut builder, &report("worker-1", vec![told(1, &[500; 9]), told(2, &[1])]), 3);
    add(&mut builder, &report("worker-2", vec![told(1, &[500])]), 0);
    builder.close(2_000);
    let second = report("worker-2", vec![told(1, &[1])]);
    add(&mut builder, &second, 0);
    let mut fresh = WindowBuilder::new(2_000);
    add(&mut fresh, &second, 0);
    assert_eq!(builder.close(4_000), fresh.close(4_000));
}

#[test]
fn throughput_does_not_depend_on_how_many_reports_fall_into_a_window() {
    for reports in 1..=3 {
        let mut builder = WindowBuilder::new(0);
        for _ in 0..reports {
            add(&mut builder, &report("worker-1", vec![told(1, &[1; 10])]), 0);
        }
        add(&mut builder, &report("worker-2", vec![told(1, &[1; 30])]), 0);
        let windows = builder.close(2_000);
        assert_eq!(windows[0].versions[0].requests_per_second, 40.0, "{reports} reports of 1 s each");
    }
}
