//! Everything that runs: a broker, and a process for each contender.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use leat_broker::{Broker, BrokerOptions, Search, find_binary};
use leat_contract::{Digest, Encoding, ModelName, Subjects};
use leat_load::{HttpTarget, NatsTarget, Target};
use leat_messaging::{ConnectOptions, Connection};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use super::deployment::{self, Deployer};
use super::lane::{Lane, TIMEOUT};
use super::process::Process;
use super::processors::Apart;
use super::requests;
use crate::arguments::{Server, ServingOptions};
use crate::{Error, models, report, shapes};

const MODEL: &str = "digits";
const ECHO_SUBJECT: &str = "bench.echo";
const NATS_PY_SUBJECT: &str = "bench.nats-py";
const INFER_PATH: &str = "/v2/models/digits/infer";
/// A cold interpreter on a busy machine takes seconds to load its libraries.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(50);

/// The broker and the processes; the broker ends last.
pub(super) struct Stage {
    processes: Vec<Process>,
    broker: Broker,
    /// None when the worker shares all processors with everybody.
    apart: Option<Apart>,
    /// Threads that share a batch of a worker, when it shall not choose.
    threads_per_batch: Option<usize>,
    /// For logs, and for blobs that the worker keeps.
    scratch: TempDir,
}

/// What the peers need.
struct Peers {
    python: PathBuf,
    programs: PathBuf,
    model: PathBuf,
}

impl Stage {
    /// Starts the broker.
    ///
    /// # Errors
    /// When none can be found or started.
    pub(super) async fn open() -> Result<Self, Error> {
        let scratch = TempDir::with_prefix("leat-bench-").map_err(|cause| Error::File {
            path: "a temporary folder".to_owned(),
            reason: cause.to_string(),
        })?;
        let binary = find_binary(&Search::from_environment()).await?;
        let broker = Broker::start(&binary, &BrokerOptions::default()).await?;
        Ok(Self { processes: Vec::new(), broker, apart: None, threads_per_batch: None, scratch })
    }

    /// Lets the worker have a processor of its own.
    pub(super) fn with_worker_apart(self, apart: Option<Apart>) -> Self {
        Self { apart, ..self }
    }

    /// Lets so many threads share a batch of each worker.
    pub(super) fn with_threads_per_batch(self, threads: usize) -> Self {
        Self { threads_per_batch: Some(threads), ..self }
    }

    /// Starts the contenders that are asked for and waits until each answers. Peers without an environment are left out.
    ///
    /// # Errors
    /// When one does not start or does not answer within a minute.
    pub(super) async fn raise(&mut self, options: &ServingOptions) -> Result<Vec<Lane>, Error> {
        let peers = Peers::find(options)?;
        let has = |server| options.contenders.contains(&server) && (peers.is_some() || !is_peer(server));
        if peers.is_none() && options.contenders.iter().any(|&server| is_peer(server)) {
            report::say(&format!(
                "{} holds no environment for the peers: they are left out (crates/bench/peers/environment makes it)",
                options.environment.display()
            ))?;
        }
        let mut lanes = Lanes::new(&self.broker.url(), options.connections).await?;
        if has(Server::Echo) {
            self.start_echo()?;
            lanes.nats(Server::Echo, ECHO_SUBJECT)?;
        }
        if has(Server::Leat) || has(Server::Gateway) {
            let folder = peers.is_some().then(|| options.environment.join("models"));
            self.start_worker(options.leat.as_deref(), folder.as_deref(), false).await?;
        }
        if has(Server::Leat) {
            let model: ModelName = MODEL.parse()?;
            lanes.nats(Server::Leat, &Subjects::default().infer(&model))?;
        }
        if let Some(peers) = peers.as_ref().filter(|_| has(Server::NatsPy)) {
            let url = self.broker.url();
            self.start(
                "nats-py",
                peers.command("nats_worker.py").args([&url, NATS_PY_SUBJECT]).arg(&peers.model),
            )?;
            lanes.nats(Server::NatsPy, NATS_PY_SUBJECT)?;
        }
        if has(Server::Gateway) {
            let port = self.start_gateway(options)?;
            lanes.http(Server::Gateway, port)?;
        }
        if let Some(peers) = peers.as_ref().filter(|_| has(Server::FastApi)) {
            let port = free_port()?;
            self.start("fastapi", peers.command("fastapi_app.py").arg(port.to_string()).arg(&peers.model))?;
            lanes.http(Server::FastApi, port)?;
        }
        for lane in &lanes.made {
            self.wait_until_answered(lane).await?;
        }
        Ok(lanes.made)
    }

    /// Stops the contenders, all at once, and then the broker.
    pub(super) async fn close(mut self) {
        self.processes.iter_mut().for_each(Process::ask_to_stop);
        for process in &mut self.processes {
            process.stop().await;
        }
        self.broker.stop().await;
    }

    fn start(&mut self, name: &'static str, command: &mut Command) -> Result<(), Error> {
        self.processes.push(Process::start(name, command, self.scratch.path())?);
        Ok(())
    }

    fn start_echo(&mut self) -> Result<(), Error> {
        let url = self.broker.url();
        self.start("echo", Command::new(own_executable()?).args(["echo", &url, ECHO_SUBJECT]))
    }

    /// Starts a worker alone, which may keep blobs, and gives the lane to it in MessagePack with what deploys further models to it.
    ///
    /// # Errors
    /// When it does not start or does not answer within a minute.
    pub(super) async fn raise_worker(
        &mut self,
        leat: Option<&Path>,
        keeps_blobs: bool,
    ) -> Result<(Lane, Deployer), Error> {
        let deployer = self.start_worker(leat, None, keeps_blobs).await?;
        let mut lanes = Lanes::new(&self.broker.url(), 1).await?;
        lanes.nats(Server::Leat, &Subjects::default().infer(&MODEL.parse()?))?;
        let lane = lanes.made.swap_remove(0);
        self.wait_until_answered(&lane).await?;
        Ok((lane, deployer))
    }

    fn blob_cache(&self) -> PathBuf {
        self.scratch.path().join("blobs")
    }

    /// Waits until the worker keeps all of these blobs.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub(super) async fn wait_until_kept(&self, digests: &[Digest]) -> Result<(), Error> {
        let (folder, deadline) = (self.blob_cache(), Instant::now() + READY_TIMEOUT);
        while !digests.iter().all(|digest| folder.join(digest.as_str()).is_file()) {
            if Instant::now() > deadline {
                return Err(self.last_failure("did not keep the models"));
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Ok(())
    }

    /// A worker with the model, whose weights are in `folder` when the peers have them too.
    async fn start_worker(
        &mut self,
        leat: Option<&Path>,
        folder: Option<&Path>,
        keeps_blobs: bool,
    ) -> Result<Deployer, Error> {
        let mut command = self.worker(leat, "worker")?;
        if keeps_blobs {
            command.env("LEAT_INFERENCE_WORKER__BLOB_CACHE_FOLDER", self.blob_cache());
        }
        let apart = self.apart.take();
        match &apart {
            Some(apart) => apart.start_worker(|| self.start("worker", &mut command)),
            None => self.start("worker", &mut command),
        }?;
        self.apart = apart;
        let model = deployment::classifier(models::dense(&shapes::named(MODEL)?, folder)?);
        let connection = Connection::connect(&ConnectOptions::new(self.broker.url(), "leat-bench")).await?;
        let deployed = async {
            let mut deployer = Deployer::new(&connection).await?;
            let digest = deployer.store(&model).await?;
            deployer.deploy(MODEL, digest).await?;
            Ok(deployer)
        };
        let deployed = tokio::time::timeout(READY_TIMEOUT, deployed).await;
        deployed.unwrap_or_else(|_| Err(self.last_failure("did not load the model within a minute")))
    }

    fn start_gateway(&mut self, options: &ServingOptions) -> Result<u16, Error> {
        let http = free_port()?;
        let mut command = self.service(options.leat.as_deref(), ("gateway", "gateway"))?;
        command
            .env("LEAT_GATEWAY__HTTP_BIND", format!("127.0.0.1:{http}"))
            .env("LEAT_GATEWAY__GRPC_BIND", format!("127.0.0.1:{}", free_port()?));
        self.start("gateway", &mut command)?;
        Ok(http)
    }

    /// Starts a further worker.
    ///
    /// # Errors
    /// When there is no such program.
    pub(super) fn add_worker(&mut self, leat: Option<&Path>, name: &'static str) -> Result<(), Error> {
        let mut command = self.worker(leat, name)?;
        self.start(name, &mut command)
    }

    /// Stops a worker in order.
    pub(super) async fn stop_worker(&mut self, name: &str) {
        if let Some(place) = self.processes.iter().position(|process| process.name() == name) {
            self.processes.remove(place).stop().await;
        }
    }

    fn worker(&self, leat: Option<&Path>, name: &str) -> Result<Command, Error> {
        let mut command = self.service(leat, ("inference-worker", name))?;
        if let Some(threads) = self.threads_per_batch {
            command.env("LEAT_INFERENCE_WORKER__THREADS_PER_BATCH", threads.to_string());
        }
        Ok(command)
    }

    /// A service with the settings that it has by itself.
    fn service(&self, leat: Option<&Path>, (kind, name): (&str, &str)) -> Result<Command, Error> {
        let mut command = Command::new(program(leat)?);
        command
            .args(["service", kind, "--name", name, "--until-stdin-closes"])
            .env_remove("NATS_URL")
            .env("LEAT_NATS__URL", self.broker.url());
        Ok(command)
    }

    async fn wait_until_answered(&mut self, lane: &Lane) -> Result<(), Error> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            self.processes.iter_mut().try_for_each(Process::check)?;
            let refused = match lane.target.caller(TIMEOUT).await {
                Err(error) => error.to_string(),
                Ok(mut caller) => match caller.call(lane.requests[0].clone()).await {
                    Ok(_) => return Ok(()),
                    Err(failure) => failure.to_string(),
                },
            };
            if Instant::now() > deadline {
                return Err(
                    self.last_failure(&format!("or another one: {} does not answer: {refused}", lane.name()))
                );
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    fn last_failure(&self, what: &str) -> Error {
        match self.processes.last() {
            Some(process) => process.failure(what),
            None => Error::Usage(what.to_owned()),
        }
    }
}

/// Lanes over the same connections and with the same rows.
struct Lanes {
    connections: NatsTarget,
    made: Vec<Lane>,
}

impl Lanes {
    async fn new(url: &str, connections: usize) -> Result<Self, Error> {
        let options = ConnectOptions::new(url, "leat-bench load");
        Ok(Self { connections: NatsTarget::connect(&options, connections, MODEL).await?, made: Vec::new() })
    }

    fn nats(&mut self, server: Server, subject: &str) -> Result<(), Error> {
        for encoding in [Encoding::MessagePack, Encoding::Json] {
            let target = Target::Nats(self.connections.with_subject(subject));
            self.made.push(Lane { server, encoding, target, requests: requests::encoded(encoding)? });
        }
        Ok(())
    }

    fn http(&mut self, server: Server, port: u16) -> Result<(), Error> {
        let target = Target::Http(HttpTarget::new(&format!("http://127.0.0.1:{port}"), INFER_PATH)?);
        let encoding = Encoding::Json;
        self.made.push(Lane { server, encoding, target, requests: requests::encoded(encoding)? });
        Ok(())
    }
}

impl Peers {
    /// None when `peers/environment` has not run.
    ///
    /// # Errors
    /// When there is an environment but the programs are elsewhere.
    fn find(options: &ServingOptions) -> Result<Option<Self>, Error> {
        let python = options.environment.join("python/bin/python");
        let model = options.environment.join("models/digits.classifier.onnx");
        if !(python.is_file() && model.is_file()) {
            return Ok(None);
        }
        let programs = options.peers.clone();
        if !programs.join("nats_worker.py").is_file() {
            let text =
                format!("{} holds no nats_worker.py: name the folder with --peers", programs.display());
            return Err(Error::Usage(text));
        }
        Ok(Some(Self { python, programs, model }))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.programs.join(program));
        command
    }
}

const fn is_peer(server: Server) -> bool {
    matches!(server, Server::NatsPy | Server::FastApi)
}

fn own_executable() -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map_err(|cause| Error::Usage(format!("cannot find this program's own file: {cause}")))
}

/// The program that is named, or the one beside this.
fn program(leat: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = leat {
        return Ok(path.to_owned());
    }
    let own = own_executable()?;
    let beside = own.parent().unwrap_or(Path::new(".")).join(format!("leat{}", std::env::consts::EXE_SUFFIX));
    if beside.is_file() {
        return Ok(beside);
    }
    let text = format!(
        "there is no {}: build it with `cargo build --release -p leat-cli`, or name it with --leat",
        beside.display()
    );
    Err(Error::Usage(text))
}

/// Free now; whoever takes it before the server does makes the server fail by name.
fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let none = |cause| Error::Usage(format!("there is no free port on 127.0.0.1: {cause}"));
    Ok(listener.map_err(none)?.port())
}
