//! What becomes of requests when three times as many come as a worker can answer.
//!
//! `cargo run --release -p leat-inference-worker --example overload [seconds] [factor]`
//!
//! First the most that is answered when requesters wait for their answers, then the same requests sent at `factor` times that
//! rate whatever becomes of them. Goodput is what got a prediction before its deadline of 250 ms. Everything shares the processors of
//! one machine here, requesters and broker included: so the most is measured once more beside as many further requests, which an echo
//! answers and the worker never sees.
#![allow(clippy::print_stdout, reason = "printing the figures is what the example is for")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use leat_broker::{Broker, BrokerOptions, Search, find_binary};
use leat_contract::assets::AssetRole;
use leat_contract::{
    Deployment, Encoding, InferRequest, ModelVersion, Route, Subjects, Tensor, TensorData, WorkerLease,
};
use leat_inference_worker::{InferenceWorker, Settings};
use leat_messaging::{ConnectOptions, Connection, Error, Storage, Watched};
use leat_model::{Activation, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, blob};
use leat_service_runtime::{NatsSettings, serve};
use leat_statistics::LatencyHistogram;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const WIDTH: usize = 256;
const LAYERS: usize = 240;
const ECHO: &str = "echo";
const DEADLINE: Duration = Duration::from_millis(250);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let seconds = arguments.next().transpose()?.unwrap_or(5);
    let factor = arguments.next().transpose()?.unwrap_or(3);
    let broker =
        Broker::start(&find_binary(&Search::from_environment()).await?, &BrokerOptions::default()).await?;
    let (url, stop) = (broker.url(), CancellationToken::new());
    let worker = tokio::spawn(run_worker(url.clone(), stop.clone()));
    let connection = Connection::connect(&ConnectOptions::new(url, "overload").own_thread()).await?;
    deploy(&connection).await?;
    let echo = tokio::spawn(echo(connection.clone()));
    let asking = Asking::new(connection)?;
    asking.closed(Duration::from_secs(1)).await;
    let time = Duration::from_secs(seconds.into());
    let most = asking.closed(time).await;
    most.print("as many as are answered", time);
    let rate = most.good() as f64 / time.as_secs_f64() * f64::from(factor);
    let beside = Asking { subject: ECHO.into(), outcome: Arc::default(), ..asking.clone() };
    let further = rate - most.good() as f64 / time.as_secs_f64();
    let (disturbed, _) = tokio::join!(asking.closed(time), beside.open(time, further));
    disturbed.print("beside further requests to an echo", time);
    let offered = asking.open(time, rate).await;
    offered.print(&format!("{factor} times as many"), time);
    let goodput = |most: &Outcome| 100.0 * offered.good() as f64 / most.good() as f64;
    let (most, disturbed) = (goodput(&most), goodput(&disturbed));
    println!("goodput under overload: {most:.1} % of the most, {disturbed:.1} % of that beside an echo");
    stop.cancel();
    worker.await??;
    echo.abort();
    broker.stop().await;
    Ok(())
}

/// What became of some requests.
#[derive(Default)]
struct Outcome {
    latency: LatencyHistogram,
    others: BTreeMap<String, u64>,
}

impl Outcome {
    fn good(&self) -> u64 {
        self.latency.count()
    }

    fn count(&mut self, answer: &Result<leat_messaging::Reply, Error>, elapsed: Duration) {
        match answer {
            Ok(_) => self.latency.record_duration(elapsed),
            Err(Error::Service(detail)) => *self.others.entry(detail.name.clone()).or_default() += 1,
            Err(_) => *self.others.entry("no answer".to_owned()).or_default() += 1,
        }
    }

    fn print(&self, name: &str, time: Duration) {
        let per_second = self.good() as f64 / time.as_secs_f64();
        let Some(summary) = self.latency.summary() else { return println!("{name}: none was answered") };
        let (p50, p99) = (summary.p50_ns / 1000, summary.p99_ns / 1000);
        println!("{name}: {per_second:.0} answered/s, p50 {p50} us, p99 {p99} us; others: {:?}", self.others);
    }
}

/// Sends the same request again and again.
#[derive(Clone)]
struct Asking {
    connection: Connection,
    subject: leat_messaging::Subject,
    payload: bytes::Bytes,
    outcome: Arc<Mutex<Outcome>>,
}

impl Asking {
    fn new(connection: Connection) -> Result<Self, Failure> {
        let tensor = Tensor::new("input", vec![1, WIDTH], TensorData::Fp32(vec![0.5; WIDTH]))?;
        let deadline_ms = Some(u64::try_from(DEADLINE.as_millis())?);
        let request = InferRequest { deadline_ms, ..InferRequest::tensors(vec![tensor]) };
        let payload = request.encode(Encoding::MessagePack)?.into();
        let subject = Subjects::default().infer(&"digits".parse()?).into();
        Ok(Self { connection, subject, payload, outcome: Arc::default() })
    }

    async fn once(self) {
        let begun = Instant::now();
        let answer = self.connection.request(self.subject, self.payload, 4 * DEADLINE).await;
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).count(&answer, begun.elapsed());
    }

    /// Requesters that each wait for an answer before they ask again.
    async fn closed(&self, time: Duration) -> Outcome {
        let until = Instant::now() + time;
        let mut requesters = JoinSet::new();
        for _ in 0..128 {
            let asking = self.clone();
            requesters.spawn(async move {
                while Instant::now() < until {
                    asking.clone().once().await;
                }
            });
        }
        while requesters.join_next().await.is_some() {}
        self.take()
    }

    /// So many requests a second, whether or not they are answered.
    async fn open(&self, time: Duration, per_second: f64) -> Outcome {
        let begun = Instant::now();
        let (mut requests, mut sent) = (JoinSet::new(), 0_u64);
        while begun.elapsed() < time {
            let due = (begun.elapsed().as_secs_f64() * per_second) as u64;
            for _ in sent..due {
                requests.spawn(self.clone().once());
            }
            sent = due.max(sent);
            while requests.try_join_next().is_some() {}
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while requests.join_next().await.is_some() {}
        self.take()
    }

    fn take(&self) -> Outcome {
        std::mem::take(&mut *self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn echo(connection: Connection) -> Result<(), Error> {
    let mut subscription = connection.queue_subscribe(ECHO, "q").await?;
    while let Some(message) = subscription.next().await {
        if let (Some(reply), payload) = message.into_parts() {
            connection.publish(reply, payload).await?;
        }
    }
    Ok(())
}

async fn run_worker(url: String, stop: CancellationToken) -> Result<(), leat_service_runtime::Error> {
    let nats = NatsSettings { url, ..NatsSettings::default() };
    let settings = leat_service_runtime::Settings {
        nats,
        service: Settings::default(),
        ..leat_service_runtime::Settings::default()
    };
    serve(&settings, InferenceWorker::new(Settings::default()), stop).await
}

/// Deploys a network of about sixteen million multiplications a row, and waits until it is served.
async fn deploy(connection: &Connection) -> Result<(), Failure> {
    let storage = Storage::provision(connection, &Subjects::default()).await?;
    let digest = storage.objects(AssetRole::Models).put(&network()?).await?;
    let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
    let deployment = Deployment::new("digits".parse()?, vec![route]);
    let revision = storage.key_value(AssetRole::Desired).put("digits", &deployment).await?;
    let mut leases = storage.key_value::<WorkerLease>(AssetRole::Actual).watch()?;
    loop {
        if let Watched::Change(change) = leases.next().await?
            && let Some(lease) = change.value
            && lease.deployment_revisions.values().any(|applied| *applied == revision)
        {
            return Ok(());
        }
    }
}

fn network() -> Result<Vec<u8>, leat_model::Error> {
    let layer = || Dense {
        weights: leat_model::Tensor::f32(vec![WIDTH, WIDTH], vec![1.0 / WIDTH as f32; WIDTH * WIDTH]),
        bias: vec![0.0; WIDTH],
        activation: Activation::Relu,
        mask: None,
        input_quantization: None,
    };
    let names = |prefix: &str| (0..WIDTH).map(|index| format!("{prefix}{index}")).collect();
    blob::write(&Model {
        name: "digits".to_owned(),
        task: Task::Regression,
        signature: Signature::of_network(Task::Regression, names("in_"), names("out_")),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: (0..LAYERS).map(|_| layer()).collect() }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    })
}
