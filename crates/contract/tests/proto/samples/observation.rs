use std::collections::BTreeMap;

use leat_contract::{
    Accuracy, Alert, AlertState, BatchFigures, CacheFigures, ErrorCode, InferenceFigures, Interval, Label,
    LabelValue, ModelTelemetry, PredictedValue, PredictionBatch, PredictionRecord, ProcessTelemetry,
    Quantiles, RunTimes, Scalar, ShadowCounts, ShadowFigures, TimeTotal, VersionFigures, VersionTotals,
    VersionWindow, Window, WorkerResources, WorkerTelemetry,
    micro::{MicroEndpoint, MicroEndpointStats, MicroIdentity, MicroInfo, MicroPing, MicroStats},
};
use serde_json::json;

use super::{NOON, Sample, digest, document, model, request_id, version, worker};

pub(super) fn all() -> Vec<Sample> {
    let label = |label| Label { request_id: request_id(), label, at: None };
    let rows =
        vec![Scalar::Text("7".to_owned()), Scalar::Integer(1), Scalar::Bool(true), Scalar::Number(0.5)];
    let one = Label { at: Some(NOON), ..label(LabelValue::One(Scalar::Text("7".to_owned()))) };
    vec![
        document("label", "Label", one),
        document("label-rows", "Label", label(LabelValue::Rows(rows))),
        document("label-targets", "Label", label(LabelValue::Targets(vec![vec![1.5, 2.5], vec![-1.5, 0.5]]))),
        document("prediction-batch", "PredictionBatch", predictions()),
        Sample { holds_binary: true, ..document("worker-telemetry", "WorkerTelemetry", telemetry()) },
        Sample {
            holds_binary: true,
            ..document("worker-telemetry-shadow", "WorkerTelemetry", telemetry_of_shadow())
        },
        Sample {
            holds_binary: true,
            ..document("worker-telemetry-cache", "WorkerTelemetry", telemetry_of_cache())
        },
        Sample {
            holds_binary: true,
            ..document("worker-telemetry-runs", "WorkerTelemetry", telemetry_of_runs())
        },
        Sample {
            holds_binary: true,
            ..document("worker-telemetry-repeats", "WorkerTelemetry", telemetry_of_repeats())
        },
        document("window", "Window", window()),
        document("window-shadow", "Window", window_of_shadow()),
        document("alert", "Alert", alert()),
        document("micro-ping", "MicroPing", MicroPing::new(identity())),
        document("micro-info", "MicroInfo", info()),
        document("micro-stats", "MicroStats", stats()),
        document("inference-figures", "InferenceFigures", figures()),
        document("inference-figures-parts", "InferenceFigures", figures_of_parts()),
        document("inference-figures-batches", "InferenceFigures", figures_of_batches()),
    ]
}

fn predictions() -> PredictionBatch {
    let class = |label: &str| PredictedValue::Class { label: label.to_owned(), probability: 0.75 };
    let record = |rows| PredictionRecord { request_id: request_id(), version: version(3), at: NOON, rows };
    PredictionBatch {
        worker: worker(),
        model: model(),
        records: vec![
            record(vec![class("7"), class("1")]),
            record(vec![PredictedValue::Values(vec![1.5, -2.0])]),
        ],
    }
}

fn telemetry() -> WorkerTelemetry {
    WorkerTelemetry {
        worker: worker(),
        epoch: NOON,
        sequence: 41,
        interval_ms: 1000,
        process: ProcessTelemetry { cpu_seconds_total: 12.5, resident_bytes: 33_554_432 },
        models: vec![ModelTelemetry {
            model: model(),
            version: version(3),
            requests: 1000,
            rows: 1900,
            batches: 250,
            errors: BTreeMap::from([(ErrorCode::InvalidArgument, 2), (ErrorCode::Overloaded, 48)]),
            inflight: 4,
            queued: 9,
            latency: vec![28, 132, 147, 19, 0, 255],
            queue: vec![28, 132],
            compute: Vec::new(),
            shadow: None,
            cache: None,
            runs: Vec::new(),
        }],
    }
}

fn shadow() -> ShadowCounts {
    ShadowCounts { mirrored: 90, dropped: 8, failed: 2, rows: 180, disagreements: 3, difference_max: 0.125 }
}

fn telemetry_of_shadow() -> WorkerTelemetry {
    let mut telemetry = telemetry();
    telemetry.models.iter_mut().for_each(|told| told.shadow = Some(shadow()));
    telemetry
}

fn telemetry_of_cache() -> WorkerTelemetry {
    let mut telemetry = telemetry();
    telemetry.models.iter_mut().for_each(|told| told.cache = Some(CacheFigures { hits: 700, misses: 250 }));
    telemetry
}

fn telemetry_of_runs() -> WorkerTelemetry {
    let mut telemetry = telemetry();
    telemetry.models.iter_mut().for_each(|told| told.runs = runs());
    telemetry
}

fn runs() -> Vec<RunTimes> {
    let logs = |log_sum, log_squares| RunTimes { log_sum, log_squares, ..RunTimes::default() };
    let one = RunTimes { size: 1, count: 200, rows: 200, ..logs(1800.5, 16225.25) };
    let many = RunTimes { size: 32, count: 50, rows: 1350, is_cold: true, ..logs(575.0, 6625.0) };
    vec![one, many]
}

fn telemetry_of_repeats() -> WorkerTelemetry {
    let [repeat, _] = runs()[..] else { unreachable!() };
    let mut telemetry = telemetry_of_runs();
    telemetry.models.iter_mut().for_each(|told| told.runs.push(RunTimes { is_repeat: true, ..repeat }));
    telemetry
}

fn window_of_shadow() -> Window {
    let mut window = window();
    window.versions.iter_mut().for_each(|version| version.shadow = Some(shadow()));
    window
}

fn quantiles(count: u64) -> Quantiles {
    Quantiles { p50: 0.25, p95: 0.5, p99: 0.75, max: 2.0, mean: 0.3125, count }
}

fn window() -> Window {
    let accuracy = Accuracy {
        predictions: 1000,
        matched: 400,
        pending: 590,
        expired: 10,
        orphans: 2,
        duplicates: 1,
        correct: 388,
        ratio: Some(0.97),
        interval: Some(Interval { low: 0.9485, high: 0.9827 }),
        mean_absolute_error: None,
    };
    let version = VersionWindow {
        version: version(3),
        requests: 1000,
        rows: 1900,
        requests_per_second: 200.0,
        errors: BTreeMap::from([(ErrorCode::Overloaded, 48)]),
        latency_ms: quantiles(1000),
        queue_ms: quantiles(1000),
        compute_ms: quantiles(250),
        batch_size_mean: 7.6,
        accuracy: Some(accuracy),
        shadow: None,
    };
    let resources = WorkerResources { worker: worker(), cpu_ratio: 0.5, resident_bytes: 33_554_432 };
    Window {
        model: model(),
        start: NOON,
        end: NOON + 5000,
        versions: vec![version],
        workers: vec![resources],
        telemetry_gaps: 0,
    }
}

fn alert() -> Alert {
    Alert {
        id: "digits-latency_p99-1".to_owned(),
        model: model(),
        version: Some(version(3)),
        kind: "latency_p99".to_owned(),
        state: AlertState::Started,
        at: NOON + 5000,
        since: NOON,
        value: 12.5,
        threshold: 10.0,
        message: "p99 latency of digits@3 is 12.5 ms, above 10 ms".to_owned(),
    }
}

fn identity() -> MicroIdentity {
    MicroIdentity {
        name: "leat-inference".to_owned(),
        id: "VMKS6MHK5E7MGHTA0I4PBE".to_owned(),
        version: "0.1.0".to_owned(),
        metadata: BTreeMap::from([("contract".to_owned(), "1.0".to_owned())]),
    }
}

fn info() -> MicroInfo {
    let endpoint = MicroEndpoint {
        name: "infer-digits".to_owned(),
        subject: "leat.v1.infer.digits".to_owned(),
        queue_group: "q".to_owned(),
        metadata: BTreeMap::from([("model".to_owned(), "digits".to_owned())]),
    };
    MicroInfo::new(identity(), "serves models".to_owned(), vec![endpoint])
}

fn figures() -> InferenceFigures {
    let total = |count, ns| TimeTotal { count, ns };
    InferenceFigures {
        queued: 9,
        queue_max: 1024,
        versions: vec![VersionFigures {
            version: version(3),
            digest: digest('a'),
            weight: 100,
            plan: "native avx2 f32 64-128-64-10".to_owned(),
            in_memory: true,
            inflight: 4,
            p50_us: Some(250),
            p99_us: Some(1900),
            batches: Vec::new(),
            totals: VersionTotals {
                last_at: NOON,
                rows: 1900,
                batches: 250,
                success: total(950, 290_000_000),
                fail: total(50, 10_000_000),
                queue: total(952, 95_000_000),
                compute: total(250, 1_250_000),
                cache: CacheFigures { hits: 700, misses: 250 },
                ..VersionTotals::default()
            },
        }],
        cache: Some(CacheFigures { hits: 700, misses: 250 }),
        shadow: Some(ShadowFigures { version: version(4), counts: ShadowCounts::default() }),
    }
}

/// With how long reading requests and writing answers took.
fn figures_of_parts() -> InferenceFigures {
    let mut figures = figures();
    for version in &mut figures.versions {
        version.totals.input = TimeTotal { count: 250, ns: 500_000 };
        version.totals.output = TimeTotal { count: 250, ns: 750_000 };
    }
    figures
}

/// With how many rows the runs had.
fn figures_of_batches() -> InferenceFigures {
    let mut figures = figures_of_parts();
    let total = |count, ns| TimeTotal { count, ns };
    let batches = [(1, 100, 1), (8, 100, 2), (64, 50, 4)].map(|(size, count, share)| BatchFigures {
        size,
        input: total(count, share * 50_000),
        compute: total(count, share * 125_000),
        output: total(count, share * 75_000),
    });
    figures.versions.iter_mut().for_each(|version| version.batches = batches.to_vec());
    figures
}

fn stats() -> MicroStats {
    let endpoint = MicroEndpointStats {
        name: "infer-digits".to_owned(),
        subject: "leat.v1.infer.digits".to_owned(),
        queue_group: "q".to_owned(),
        num_requests: 1000,
        num_errors: 50,
        last_error: "429:the queue is full".to_owned(),
        processing_time: 300_000_000,
        average_processing_time: 300_000,
        data: Some(json!({ "queued": 9 })),
    };
    MicroStats::new(identity(), "2026-11-23T12:00:00Z".to_owned(), vec![endpoint])
}
