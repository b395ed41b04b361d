use std::collections::BTreeMap;

use leat_contract::{
    Activation, Alias, Batching, Caching, Calibration, Canary, CheckpointRef, ClipMode, CompressSpec,
    CompressStep, DatasetRef, Deployment, DeploymentLimits, DrainReply, DrainRequest, EarlyStopping,
    ErrorCode, ErrorDetail, JobEvent, JobEventKind, JobMessage, JobProgress, JobResult, JobSpec, JobState,
    JobStatus, LatencyBefore, LoadState, LoadedVersion, Loss, Manifest, ManifestLatency, Optimiser,
    PingReply, Pipeline, PipelineMember, PipelineMode, Prune, PruneScope, Quantize, Recording, RolloutEnd,
    RolloutEvent, Route, Shadow, Task, TrainSpec, WorkerLease,
};
use serde_json::{Map, Value, json};

use super::{NOON, Sample, digest, document, job, model, version, worker};

pub(super) fn all() -> Vec<Sample> {
    let train = JobMessage { job: job(), spec: JobSpec::Train(train()) };
    let compress = JobMessage { job: "compress-1".parse().unwrap(), spec: JobSpec::Compress(compress()) };
    vec![
        document("job-train", "JobMessage", train),
        document("job-compress", "JobMessage", compress),
        document("job-compress-fine-tune", "JobMessage", fine_tune()),
        document("job-compress-full-range", "JobMessage", full_range()),
        document("job-compress-prune-blocks", "JobMessage", prune_blocks()),
        document(
            "job-status-queued",
            "JobStatus",
            JobStatus::queued(job(), JobSpec::Train(shortest_train()), NOON),
        ),
        document("job-status-succeeded", "JobStatus", succeeded()),
        document("job-event", "JobEvent", event()),
        document("manifest", "Manifest", manifest()),
        document("alias", "Alias", Alias { version: version(3), updated_at: NOON }),
        document("deployment", "Deployment", deployment()),
        document("deployment-rollout", "Deployment", rollout()),
        document("deployment-cache", "Deployment", cached()),
        document("deployment-pipeline", "Deployment", together()),
        document("rollout-event", "RolloutEvent", rollout_event()),
        document("worker-lease", "WorkerLease", lease()),
        document("worker-lease-labels", "WorkerLease", labelled_lease()),
        document("drain-request", "DrainRequest", DrainRequest { deadline_ms: Some(5000) }),
        document("drain-reply", "DrainReply", DrainReply { worker: worker(), inflight: 3 }),
        document("ping-reply", "PingReply", PingReply { worker: worker(), at: NOON, ready: true }),
    ]
}

fn dataset() -> DatasetRef {
    DatasetRef { digest: digest('d'), name: "digits.csv".to_owned() }
}

fn train() -> TrainSpec {
    TrainSpec {
        task: Some(Task::Classification),
        activation: Activation::Gelu,
        loss: Some(Loss::CrossEntropy),
        optimiser: Optimiser::AdamW,
        momentum: Some(0.9),
        weight_decay: Some(0.01),
        batch_size: Some(32),
        early_stopping: Some(EarlyStopping { patience: 10, min_delta: 0.0001, validation_ratio: 0.1 }),
        weight_clip: Some(2.5),
        ..shortest_train()
    }
}

fn shortest_train() -> TrainSpec {
    TrainSpec {
        model: model(),
        dataset: dataset(),
        target: "label".to_owned(),
        task: None,
        hidden: vec![64, 32],
        activation: Activation::Relu,
        loss: None,
        optimiser: Optimiser::Adam,
        learning_rate: 0.001,
        momentum: None,
        weight_decay: None,
        batch_size: None,
        epochs: 100,
        early_stopping: None,
        held_out_ratio: 0.2,
        seed: 7,
        standardise: true,
        standardise_target: true,
        weight_clip: None,
    }
}

fn compress() -> CompressSpec {
    let percentile =
        Quantize::Int8 { calibration: Calibration::Percentile(99.9), per_channel: true, reduce_range: true };
    CompressSpec {
        model: model(),
        version: version(1),
        steps: vec![
            CompressStep::Clip { mode: ClipMode::Clamp, epsilon: 0.5 },
            CompressStep::Prune(Prune::Threshold(0.0078125)),
            CompressStep::Prune(Prune::Rate { rate: 0.5, scope: PruneScope::PerLayer }),
            CompressStep::Prune(Prune::L1Neurons { rate: 0.25, fine_tune_epochs: 5 }),
            CompressStep::Distil { hidden: vec![16], temperature: 4.0, alpha: 0.75, epochs: 20 },
            CompressStep::Quantize(Quantize::Q(127.0)),
            CompressStep::Quantize(percentile),
        ],
        dataset: Some(dataset()),
        seed: 7,
    }
}

/// A step that came after the others had their golden file.
fn fine_tune() -> JobMessage {
    let steps = vec![CompressStep::Prune(Prune::Threshold(0.5)), CompressStep::FineTune { epochs: 10 }];
    let spec = CompressSpec { steps, dataset: None, ..compress() };
    JobMessage { job: "compress-2".parse().unwrap(), spec: JobSpec::Compress(spec) }
}

/// An option that came later.
fn full_range() -> JobMessage {
    let quantize = Quantize::Int8 { calibration: Calibration::Mse, per_channel: true, reduce_range: false };
    let spec = CompressSpec { steps: vec![CompressStep::Quantize(quantize)], dataset: None, ..compress() };
    JobMessage { job: "compress-3".parse().unwrap(), spec: JobSpec::Compress(spec) }
}

/// A step that came later.
fn prune_blocks() -> JobMessage {
    let prune = Prune::Blocks { rate: 0.75, scope: PruneScope::PerLayer };
    let spec = CompressSpec { steps: vec![CompressStep::Prune(prune)], dataset: None, ..compress() };
    JobMessage { job: "compress-4".parse().unwrap(), spec: JobSpec::Compress(spec) }
}

fn progress(done: u64) -> JobProgress {
    let metrics = BTreeMap::from([("train_loss".to_owned(), 0.25)]);
    JobProgress { done, total: 100, unit: "epoch".to_owned(), metrics }
}

fn succeeded() -> JobStatus {
    let mut status = JobStatus::queued(job(), JobSpec::Train(shortest_train()), NOON);
    status.take("worker-0".parse().unwrap(), NOON + 10).unwrap();
    status.take(worker(), NOON + 60_000).unwrap();
    status.progress = Some(progress(100));
    status.checkpoint = Some(CheckpointRef { object: "train-7Q2X-2-90".to_owned(), position: 90 });
    status.reserved_version = Some(version(3));
    status.result = Some(JobResult { model: model(), version: version(3), digest: digest('a') });
    status.move_to(JobState::Succeeded, NOON + 90_000).unwrap();
    status
}

fn event() -> JobEvent {
    JobEvent {
        job: job(),
        what: JobEventKind::Retried,
        at: NOON,
        progress: Some(progress(42)),
        message: Some("worker-0 was lost; goes on from epoch 40".to_owned()),
    }
}

fn facts(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn manifest() -> Manifest {
    Manifest {
        model: model(),
        version: version(3),
        digest: digest('a'),
        bytes: 9876,
        task: Task::Classification,
        created_at: NOON,
        job: Some(job()),
        parent: Some(version(2)),
        dataset: Some(dataset()),
        target: Some("label".to_owned()),
        metrics: BTreeMap::from([("accuracy".to_owned(), 0.96875)]),
        parameters: 4810,
        encoding: "int8 per channel".to_owned(),
        features: vec!["width".to_owned(), "height".to_owned()],
        labels: vec!["1".to_owned(), "7".to_owned()],
        training: Some(facts(json!({ "epochs": 100 }))),
        compression: vec![facts(json!({ "parameter_bytes_after": 4921 }))],
        latency: Some(ManifestLatency {
            batch: 1,
            p50_us: 3.5,
            p99_us: 5.25,
            before: Some(LatencyBefore { p50_us: 7.5, p99_us: 9.0 }),
        }),
        deleted: false,
    }
}

fn deployment() -> Deployment {
    let route = |number, digit, weight| Route { version: version(number), digest: digest(digit), weight };
    Deployment {
        routes: vec![route(2, 'b', 90), route(3, 'a', 10)],
        previous: Some(vec![route(2, 'b', 100)]),
        batching: Batching { max_delay_us: 500, ..Batching::default() },
        limits: DeploymentLimits::default(),
        record: Recording { ratio: 0.5 },
        updated_at: NOON,
        ..Deployment::new(model(), Vec::new())
    }
}

/// Everything that came after deployments had their golden file.
fn rollout() -> Deployment {
    let canary = Canary { promote_after_s: 900, needs_labels: true, ..Canary::new(version(3), NOON) };
    Deployment {
        batching: Batching { max_size: 128, max_delay_us: 500, preferred_size: Some(32) },
        limits: DeploymentLimits { queue_max: 256, queue_bytes_max: 8 << 20, queue_wait_max_ms: 250 },
        shadow: Some(Shadow { ratio: 0.25, ..Shadow::new(version(4), digest('c')) }),
        canary: Some(canary),
        selector: labels(),
        ..deployment()
    }
}

fn cached() -> Deployment {
    Deployment { cache: Some(Caching { bytes_max: 16 << 20 }), ..deployment() }
}

fn together() -> Deployment {
    let member =
        |number, digit| PipelineMember { model: model(), version: version(number), digest: digest(digit) };
    let members = vec![member(5, 'e'), member(6, 'f')];
    Deployment { pipeline: Some(Pipeline { mode: PipelineMode::Average, members }), ..deployment() }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("pool".to_owned(), "small".to_owned())])
}

fn rollout_event() -> RolloutEvent {
    RolloutEvent {
        model: model(),
        version: version(3),
        what: RolloutEnd::RolledBack,
        at: NOON,
        requests: 700,
        reason: "31 of 700 requests failed, 12 of 6300 with the other versions".to_owned(),
    }
}

fn labelled_lease() -> WorkerLease {
    WorkerLease { labels: labels(), ..lease() }
}

fn lease() -> WorkerLease {
    let loaded = |number, digit, state, error| LoadedVersion {
        model: model(),
        version: version(number),
        digest: digest(digit),
        state,
        error,
    };
    let mismatch = ErrorDetail::new(ErrorCode::Internal, "model checksum mismatch");
    WorkerLease {
        worker: worker(),
        started_at: NOON,
        loaded: vec![
            loaded(2, 'b', LoadState::Ready, None),
            loaded(3, 'a', LoadState::Failed, Some(mismatch)),
        ],
        deployment_revisions: BTreeMap::from([(model(), 17)]),
        labels: BTreeMap::new(),
        renewed_at: NOON + 20_000,
    }
}
