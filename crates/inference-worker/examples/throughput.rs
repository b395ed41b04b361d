//! How many requests one worker answers through one broker, and how long each takes, beside a plain NATS echo.
//!
//! `cargo run --release -p leat-inference-worker --example throughput [requesters] [rounds]`
//!
//! The kinds of requests take turns, so that a busy machine disturbs all of them alike. The processor time is that of this
//! process, which holds the requesters and the service, not that of the broker.
#![allow(clippy::print_stdout, reason = "printing the figures is what the example is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leat_broker::{Broker, BrokerOptions, Search, find_binary};
use leat_contract::assets::AssetRole;
use leat_contract::{
    Deployment, Encoding, InferRequest, ModelVersion, Route, Subjects, Tensor, TensorData, WorkerLease,
};
use leat_inference_worker::{InferenceWorker, Settings};
use leat_messaging::{ConnectOptions, Connection, Storage, Subscription, Watched};
use leat_model::{Activation, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, blob};
use leat_service_runtime::{NatsSettings, process_usage, serve};
use leat_statistics::LatencyHistogram;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FEATURES: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let requesters = arguments.next().transpose()?.unwrap_or(64);
    let rounds = arguments.next().transpose()?.unwrap_or(5);
    let broker =
        Broker::start(&find_binary(&Search::from_environment()).await?, &BrokerOptions::default()).await?;
    let subjects = Subjects::default();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(run_worker(broker.url(), stop.clone()));
    let connection =
        Connection::connect(&ConnectOptions::new(broker.url(), "throughput").own_thread()).await?;
    deploy(&connection, &subjects).await?;
    let echoing = Connection::connect(&ConnectOptions::new(broker.url(), "echo").own_thread()).await?;
    let subscription = echoing.queue_subscribe("echo", "q").await?;
    echoing.round_trip(TIMEOUT).await?;
    let echo = tokio::spawn(echo(echoing, subscription));

    let input = |values: Vec<f32>| Tensor::new("input", vec![1, FEATURES], TensorData::Fp32(values));
    let request = InferRequest::tensors(vec![input(vec![0.5; FEATURES])?]);
    let (bin, json) = (request.encode(Encoding::MessagePack)?, request.encode(Encoding::Json)?);
    let live = subjects.infer(&"digits".parse()?);
    println!("{requesters} requesters on one connection, {rounds} rounds in turn, one second each");
    let load = |name, subject: &str, payload: &[u8]| {
        let (connection, subject) = (connection.clone(), leat_messaging::Subject::from(subject.to_owned()));
        let load = Load { connection, subject, payload: bytes::Bytes::copy_from_slice(payload) };
        (name, load, Figures::default())
    };
    let mut loads =
        [load("NATS echo", "echo", &bin), load("MessagePack bin", &live, &bin), load("JSON", &live, &json)];
    for _ in 0..=rounds {
        for (_, load, figures) in &mut loads {
            figures.rounds.push(load.round(requesters).await?);
        }
    }
    for (name, load, figures) in &loads {
        figures.print(name, load.payload.len())?;
    }
    stop.cancel();
    worker.await??;
    echo.abort();
    broker.stop().await;
    Ok(())
}

/// One second of one kind of request.
struct Round {
    latency: LatencyHistogram,
    per_second: f64,
    cpu_us_per_request: f64,
}

/// All rounds of one kind; the first one warms up and does not count.
#[derive(Default)]
struct Figures {
    rounds: Vec<Round>,
}

impl Figures {
    fn print(&self, name: &str, bytes: usize) -> Result<(), Failure> {
        let rounds = self.rounds.get(1..).unwrap_or_default();
        let best = rounds.iter().max_by(|left, right| left.per_second.total_cmp(&right.per_second));
        let mut latency = LatencyHistogram::new();
        rounds.iter().try_for_each(|round| latency.merge(&round.latency))?;
        let (Some(best), Some(all)) = (best, latency.summary()) else { return Ok(()) };
        let Some(of_best) = best.latency.summary() else { return Ok(()) };
        let mean = |of: fn(&Round) -> f64| rounds.iter().map(of).sum::<f64>() / rounds.len() as f64;
        println!(
            "{name:>15} ({bytes} bytes): mean {:.0} requests/s, p50 {} us, p99 {} us; best round {:.0} requests/s, p50 {} us, p99 {} us; \
             {:.1} us of processor time per request",
            mean(|round| round.per_second),
            all.p50_ns / 1000,
            all.p99_ns / 1000,
            best.per_second,
            of_best.p50_ns / 1000,
            of_best.p99_ns / 1000,
            mean(|round| round.cpu_us_per_request),
        );
        Ok(())
    }
}

/// Requests of one kind, repeated.
#[derive(Clone)]
struct Load {
    connection: Connection,
    subject: leat_messaging::Subject,
    payload: bytes::Bytes,
}

impl Load {
    async fn round(&self, requesters: u64) -> Result<Round, Failure> {
        let cpu_seconds = || process_usage().map_or(f64::NAN, |usage| usage.cpu_seconds_total);
        let (begun, cpu_before, stop) = (Instant::now(), cpu_seconds(), Arc::new(AtomicBool::new(false)));
        let asking: Vec<_> = (0..requesters).map(|_| tokio::spawn(self.clone().ask(stop.clone()))).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.store(true, Ordering::Relaxed);
        let mut latency = LatencyHistogram::new();
        for one in asking {
            latency.merge(&one.await??)?;
        }
        let (per_second, cpu) =
            (latency.count() as f64 / begun.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
        let cpu_us_per_request = cpu * 1e6 / latency.count() as f64;
        Ok(Round { latency, per_second, cpu_us_per_request })
    }

    async fn ask(self, stop: Arc<AtomicBool>) -> Result<LatencyHistogram, Failure> {
        let mut latency = LatencyHistogram::new();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.connection.request(self.subject.clone(), self.payload.clone(), TIMEOUT).await?;
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
async fn echo(connection: Connection, mut subscription: Subscription) -> Result<(), leat_messaging::Error> {
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
    let deployment = Deployment::new("digits".parse()?, vec![route]);
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
