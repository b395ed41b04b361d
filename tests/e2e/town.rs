//! A whole cluster of real processes for one test, and the `leat` command as a person would use it.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_catalogue::Catalogue;
use leat_cli::{Cluster, ClusterOptions, GatewayPorts, LoadOptions};
use leat_contract::{Encoding, InferRequest, Subjects, Tensor, TensorData};
use leat_messaging::{ConnectOptions, Connection, Patience, Storage};
use leat_model::Task;
use leat_training::{CsvOptions, Dataset};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// Clusters run one after the other: each is six processes, and what is tested is not a crowded machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

pub(crate) struct Town {
    pub(crate) cluster: Cluster,
    pub(crate) connection: Connection,
    pub(crate) storage: Storage,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Town {
    /// A broker, trainer, compressor, monitor and some inference workers.
    pub(crate) async fn with_workers(workers: u16) -> Self {
        Self::with(workers, None).await
    }

    /// The same with a gateway, and two versions of a digits model: the first has all live traffic, the second none.
    pub(crate) async fn with_gateway(workers: u16) -> Self {
        let town = Self::with(workers, Some(GatewayPorts { http: 0, grpc: 0 })).await;
        town.make_two_digits_versions().await;
        town.route_without_traffic("digits@2").await;
        town
    }

    async fn with(workers: u16, gateway: Option<GatewayPorts>) -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = ClusterOptions {
            leat: leat(),
            workers,
            port: 0,
            metrics_port: None,
            gateway,
            data_dir: folder.path().to_owned(),
            external_url: None,
            subjects: Subjects::default(),
        };
        let cluster = Cluster::start(&options, |_| {}).await.expect("the cluster starts");
        let connection = connect(cluster.url()).await;
        let storage = Storage::open(&connection, cluster.subjects());
        Self { cluster, connection, storage, folder, _turn: turn }
    }

    /// Runs `leat` against this cluster.
    pub(crate) async fn leat(&self, arguments: &[&str]) -> Output {
        run(self.cluster.url(), arguments).await
    }

    /// Runs `leat` with JSON output, which must succeed.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.leat(&[arguments, &["--output", "json"]].concat()).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "leat {arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("leat {arguments:?}: {error}"))
    }

    /// Trains a small digits model: enough to answer, quick to make.
    pub(crate) async fn train_digits(&self) -> Value {
        let data = digits_path();
        let data = data.to_str().expect("an ordinary path");
        let recipe = ["--hidden", "32", "--epochs", "8"];
        self.json(
            &[&["train", "--name", "digits", "--data", data, "--target", "digit"], &recipe[..]].concat(),
        )
        .await
    }

    /// Two versions of a digits model, the first of them deployed.
    pub(crate) async fn with_two_digits_versions(workers: u16) -> Self {
        let town = Self::with_workers(workers).await;
        town.make_two_digits_versions().await;
        town
    }

    async fn make_two_digits_versions(&self) {
        self.train_digits().await;
        self.json(&[
            "compress",
            "digits@1",
            "--prune",
            "0.5",
            "--fine-tune-epochs",
            "2",
            "--quantize",
            "int8",
        ])
        .await;
        self.json(&["deploy", "digits@1"]).await;
    }

    /// Adds a route of weight 0, on which a version answers only when it is named.
    pub(crate) async fn route_without_traffic(&self, reference: &str) {
        let catalogue = Catalogue::new(&self.storage, |_| {});
        let reference = reference.parse().expect("a reference");
        let manifest = catalogue.registry().resolve(&reference).await.expect("the version");
        let entry = catalogue.deployments().route(&manifest, 0, |_| {}).await.expect("routed");
        catalogue.wait_until_served(&entry, Duration::from_secs(60)).await.expect("served");
    }

    /// Requests for the live route of digits from many requesters, repeated when a worker is lost or the broker away.
    pub(crate) fn load(&self, concurrency: usize) -> LoadOptions {
        let digits = digits();
        let requests = (0..digits.len()).map(|row| row_request(&digits, row)).collect();
        LoadOptions {
            subject: self.cluster.subjects().infer(&"digits".parse().expect("a name")),
            requests: Arc::new(requests),
            concurrency,
            patience: Patience { attempt: Duration::from_secs(1), total: Duration::from_secs(20) },
        }
    }

    /// A path in the folder of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The program under test.
pub(crate) fn leat() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_leat"))
}

/// Runs `leat` against a broker.
pub(crate) async fn run(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(leat());
    command.args(arguments).env("NATS_URL", url).kill_on_drop(true);
    let running = tokio::time::timeout(Duration::from_secs(180), command.output());
    running.await.unwrap_or_else(|_| panic!("leat {arguments:?} does not end")).expect("leat runs")
}

pub(crate) async fn connect(url: &str) -> Connection {
    Connection::connect(&ConnectOptions::new(url, "e2e")).await.expect("the broker answers")
}

pub(crate) fn digits_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv")
}

pub(crate) fn digits() -> Dataset {
    let bytes = std::fs::read(digits_path()).expect("the data set is there");
    let options = CsvOptions { target: "digit".to_owned(), task: Some(Task::Classification) };
    Dataset::from_csv(&bytes, &options).expect("the data set is good")
}

/// One row as a MessagePack request.
pub(crate) fn row_request(data: &Dataset, row: usize) -> Bytes {
    let values = data.rows.row(row).to_vec();
    let tensor = Tensor::new("input", vec![1, values.len()], TensorData::Fp32(values)).expect("a tensor");
    InferRequest::tensors(vec![tensor]).encode(Encoding::MessagePack).expect("a request").into()
}
