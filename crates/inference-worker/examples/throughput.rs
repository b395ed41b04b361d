//! How many requests one worker answers through one broker, and how long each takes, beside a plain NATS echo.
//!
//! `cargo run --release -p leat-inference-worker --example throughput [requesters] [seconds]`
#![allow(clippy::print_stdout, reason = "printing the figures is what the example is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leat_broker::{Broker, BrokerOptions, Search, find_binary};
use leat_contract::assets::AssetRole;
use leat_contract::{
    Batching, Deployment, DeploymentLimits, Encoding, InferRequest, ModelVersion, Recording, Route, Subjects,
    Tensor, TensorData, WorkerLease,
};
use leat_inference_worker::{InferenceWorker, Settings};
use leat_messaging::{ConnectOptions, Connection, Storage, Watched};
use leat_model::{Activation, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, blob};
use leat_service_runtime::{NatsSettings, serve};
use leat_statistics::LatencyHistogram;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FEATURES: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let requesters = arguments.next().transpose()?.unwrap_or(64);
    let measured = Duration::from_secs(arguments.next().transpose()?.unwrap_or(5));
    let broker =
        Broker::start(&find_binary(&Search::from_environment()).await?, &BrokerOptions::default()).await?;
    let subjects = Subjects::default();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(run_worker(broker.url(), stop.clone()));
    let connection =
        Connection::connect(&ConnectOptions::new(broker.url(), "throughput").own_thread()).await?;
    deploy(&connection, &subjects).await?;
    let echo = tokio::spawn(echo(
        Connection::connect(&ConnectOptions::new(broker.url(), "echo").own_thread()).await?,
    ));
    connection.round_trip(TIMEOUT).await?;

    let input = |values: Vec<f32>| Tensor::new("input", vec![1, FEATURES], TensorData::Fp32(values));
    let request = InferRequest::tensors(vec![input(vec![0.5; FEATURES])?]);
    let (bin, json) = (request.encode(Encoding::MessagePack)?, request.encode(Encoding::Json)?);
    let live = subjects.infer(&"digits".parse()?);
    println!("{requesters} requesters, {} s each, one connection for all of them", measured.as_secs());
    for (name, subject, payload) in [
        ("echo", "echo", &bin),
        ("MessagePack bin", live.as_str(), &bin),
        ("JSON", live.as_str(), &json),
        ("echo again", "echo", &bin),
    ] {
        let load =
            Load { connection: connection.clone(), subject: subject.to_owned(), payload: payload.clone() };
        load.run(requesters, Duration::from_secs(1)).await?;
        let (latency, elapsed) = load.run(requesters, measured).await?;
        print_figures(name, payload.len(), &latency, elapsed);
    }
    stop.cancel();
    worker.await??;
    echo.abort();
    broker.stop().await;
    Ok(())
}

fn print_figures(name: &str, bytes: usize, latency: &LatencyHistogram, elapsed: Duration) {
    let Some(summary) = latency.summary() else { return };
    let per_second = summary.count as f64 / elapsed.as_secs_f64();
    let (p50, p99) = (summary.p50_ns / 1000, summary.p99_ns / 1000);
    println!("{name:>16} ({bytes} bytes): {per_second:>7.0} requests/s, p50 {p50} us, p99 {p99} us");
}

/// Requests of one kind, repeated.
#[derive(Clone)]
struct Load {
    connection: Connection,
    subject: String,
    payload: Vec<u8>,
}

impl Load {
    async fn run(
        &self,
        requesters: u64,
        duration: Duration,
    ) -> Result<(LatencyHistogram, Duration), Failure> {
        let (begun, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let asking: Vec<_> = (0..requesters).map(|_| tokio::spawn(self.clone().ask(stop.clone()))).collect();
        tokio::time::sleep(duration).await;
        stop.store(true, Ordering::Relaxed);
        let mut all = LatencyHistogram::new();
        for one in asking {
            all.merge(&one.await??)?;
        }
        Ok((all, begun.elapsed()))
    }

    async fn ask(self, stop: Arc<AtomicBool>) -> Result<LatencyHistogram, Failure> {
        let mut latency = LatencyHistogram::new();
        let (subject, payload) =
            (leat_messaging::Subject::from(self.subject), bytes::Bytes::from(self.payload));
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.connection.request(subject.clone(), payload.clone(), TIMEOUT).await?;
            latency.record_duration(begun.elapsed());
        }
        Ok(latency)
    }
}

async fn run_worker(url: String, stop: CancellationToken) -> Result<(), leat_service_runtime::Error> {
    let nats = NatsSettings { url, ..NatsSettings::default() };
    let service = Settings::default();
    let settings = leat_service_runtime::Settings {
        nats,
        service: service.clone(),
        ..leat_service_runtime::Settings::default()
    };
    serve(&settings, InferenceWorker::new(service), stop).await
}

/// What NATS itself takes: a service that gives back what it gets.
async fn echo(connection: Connection) -> Result<(), leat_messaging::Error> {
    let mut subscription = connection.queue_subscribe("echo", "q").await?;
    let mut messages = Vec::new();
    while subscription.next_batch(&mut messages, 256).await > 0 {
        for message in messages.drain(..) {
            let Some(reply) = message.reply().cloned() else { continue };
            connection.publish(reply, message.into_payload()).await?;
        }
    }
    Ok(())
}

/// Deploys an untrained 64-64-10 network, which takes as long as a trained one, and waits until it is served.
async fn deploy(connection: &Connection, subjects: &Subjects) -> Result<(), Failure> {
    let storage = Storage::provision(connection, subjects).await?;
    let digest = storage.objects(AssetRole::Models).put(&digits()?).await?;
    let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
    let deployment = Deployment {
        model: "digits".parse()?,
        routes: vec![route],
        previous: None,
        batching: Batching::default(),
        limits: DeploymentLimits::default(),
        record: Recording::default(),
        updated_at: 0,
    };
    let revision = storage.key_value(AssetRole::Desired).put("digits", &deployment).await?;
    let mut leases = storage.key_value::<WorkerLease>(AssetRole::Actual).watch()?;
    loop {
        if let Watched::Change(change) = leases.next().await?
            && change
                .value
                .is_some_and(|lease| lease.deployment_revisions.values().any(|applied| *applied == revision))
        {
            return Ok(());
        }
    }
}

fn digits() -> Result<Vec<u8>, leat_model::Error> {
    let layer = |inputs: usize, outputs: usize, activation| Dense {
        weights: leat_model::Tensor::f32(
            vec![outputs, inputs],
            (0..inputs * outputs).map(|index| (index % 17) as f32 / 100.0 - 0.08).collect(),
        ),
        bias: vec![0.0; outputs],
        activation,
        mask: None,
        input_quantization: None,
    };
    let names = |prefix: &str, count: usize| (0..count).map(|index| format!("{prefix}{index}")).collect();
    let layers = vec![layer(FEATURES, 64, Activation::Relu), layer(64, 10, Activation::Identity)];
    blob::write(&Model {
        name: "digits".to_owned(),
        task: Task::Classification,
        signature: Signature::of_network(Task::Classification, names("pixel_", FEATURES), names("", 10)),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    })
}
