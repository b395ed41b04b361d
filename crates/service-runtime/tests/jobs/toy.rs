//! A service whose jobs do what their target says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leat_broker::Broker;
use leat_contract::{JobKind, JobProgress, JobSpec, JobStatus, Manifest, ModelVersion};
use leat_service_runtime::jobs::{self, Failure, Limits, Product, Pulse, Work};
use leat_service_runtime::{Context, Error, Invalid, Service, Settings, Validate, serve};
use leat_test_harness::eventually;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a slow toy gathers.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// How long a toy that tells its progress computes.
const TELLING: Duration = Duration::from_millis(1_400);

struct Toy;

impl Work for Toy {
    const KIND: JobKind = JobKind::Train;
    const DESCRIPTION: &'static str = "computes nothing";
    const SERVICE: &'static str = "toy";

    type Input = String;

    async fn gather(&self, job: &JobStatus, _context: &Context) -> Result<String, Failure> {
        match &job.spec {
            JobSpec::Train(spec) => {
                if spec.target == "gather slowly" {
                    let began = Instant::now();
                    let is_over = || async { (began.elapsed() > SLOW).then_some(()) };
                    eventually("the end of a slow download", is_over).await;
                }
                Ok(spec.target.clone())
            }
            JobSpec::Compress(_) => Err(Failure::Stopped),
        }
    }

    fn compute(target: String, _resume: Option<Vec<u8>>, pulse: &mut Pulse) -> Result<Product, Failure> {
        match target.as_str() {
            "panic" => panic!("a toy that breaks"),
            "stall" => loop {
                std::thread::park();
            },
            "tell" => tell(pulse),
            _ => Ok(product()),
        }
    }
}

fn product() -> Product {
    Product { blob: b"toy".to_vec(), manifest: manifest(ModelVersion::FIRST, None) }
}

/// Tells progress without a pause, and ends between two moments at which it is told further.
fn tell(pulse: &Pulse) -> Result<Product, Failure> {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < TELLING {
        done += 1;
        let progress =
            JobProgress { done, total: u64::MAX, unit: "step".to_owned(), metrics: BTreeMap::new() };
        if pulse.progress(progress).is_break() {
            return Err(Failure::Stopped);
        }
        std::thread::yield_now();
    }
    Ok(product())
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct NoSettings {}

impl Validate for NoSettings {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

struct ToyService {
    limits: Limits,
}

impl Service for ToyService {
    type Settings = NoSettings;
    type Error = Error;

    const NAME: &'static str = "toy";

    async fn run(self, context: Context) -> Result<(), Error> {
        jobs::run(Toy, context, self.limits).await
    }
}

pub(crate) struct Running {
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start(broker: &Broker, limits: Limits) -> Self {
        let mut settings = Settings::<NoSettings>::default();
        settings.nats.url = broker.url();
        let shutdown = CancellationToken::new();
        let asked = shutdown.clone();
        let ended = tokio::spawn(async move { serve(&settings, ToyService { limits }, asked).await });
        Self { shutdown, ended }
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), Error> {
        self.ended.await.unwrap()
    }
}

pub(crate) fn spec(target: &str) -> JobSpec {
    let text = format!(
        r#"{{"kind": "train", "model": "toy", "dataset": {{"digest": "sha256-{}", "name": "toy.csv"}},
            "target": "{target}", "hidden": [], "learning_rate": 0.1, "epochs": 1, "held_out_ratio": 0.2, "seed": 0}}"#,
        "0".repeat(64)
    );
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn manifest(version: ModelVersion, job: Option<&str>) -> Manifest {
    let text = format!(
        r#"{{"model": "toy", "version": {version}, "digest": "sha256-{}", "bytes": 3, "task": "regression",
            "created_at": 0, "parameters": 1, "encoding": "f32", "features": ["x"], "labels": ["y"]}}"#,
        "0".repeat(64)
    );
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    Manifest { job: job.map(|job| job.parse().unwrap()), ..manifest }
}
