//! One service as a child process that cannot outlive us: it stops when its standard input closes, and the kernel closes
//! that when we end, however we end.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use leat_contract::WorkerId;
use tokio::process::{Child, Command};

use super::{GatewayPorts, ServiceKind};
use crate::Error;

/// Longer than a service's own shutdown deadline, so that it normally ends by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(35);
/// A service that ends again sooner than this is left down a little longer, up to [`REST_MAX`].
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(30);
const LOG_TAIL_BYTES: usize = 2048;

/// Everything one start needs.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) leat: PathBuf,
    pub(super) kind: ServiceKind,
    pub(super) instance: WorkerId,
    pub(super) url: String,
    pub(super) prefix: String,
    pub(super) metrics_port: Option<u16>,
    pub(super) gateway: Option<GatewayPorts>,
    pub(super) log: PathBuf,
}

/// A running service, killed when dropped.
#[derive(Debug)]
pub(super) struct ServiceProcess {
    launch: Launch,
    child: Child,
    started: Instant,
    rest: Duration,
    was_stopped: bool,
}

impl ServiceProcess {
    pub(super) fn spawn(launch: Launch) -> Result<Self, Error> {
        let child = launch.run()?;
        Ok(Self { launch, child, started: Instant::now(), rest: REST_MIN, was_stopped: false })
    }

    /// Its name on the wire.
    pub(super) fn instance(&self) -> &WorkerId {
        &self.launch.instance
    }

    /// The id of the process, none once it has ended.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process is gone.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it ended by itself and has been down long enough.
    pub(super) fn may_start_again(&self) -> bool {
        !self.was_stopped && self.started.elapsed() > self.rest
    }

    pub(super) fn start_again(&mut self) -> Result<(), Error> {
        let ran_well = self.started.elapsed() > REST_MAX;
        self.rest = if ran_well { REST_MIN } else { (self.rest * 2).min(REST_MAX) };
        self.child = self.launch.run()?;
        self.started = Instant::now();
        Ok(())
    }

    /// Ends it at once and waits until it is gone. It is not started again by itself.
    pub(super) async fn kill(&mut self) {
        self.was_stopped = true;
        // The only failure is that it has ended already.
        let _ = self.child.kill().await;
    }

    /// Closes its standard input, which begins its ordered shutdown.
    pub(super) fn ask_to_stop(&mut self) {
        self.was_stopped = true;
        self.child.stdin = None;
    }

    /// Stops it in order, and kills it when it does not end in time.
    pub(super) async fn stop(&mut self) {
        self.ask_to_stop();
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// What went wrong, with the end of its log.
    pub(super) fn failure(&self, what: &str) -> Error {
        let text = std::fs::read(&self.launch.log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default();
        Error::Service {
            instance: self.launch.instance.to_string(),
            what: what.to_owned(),
            log: self.launch.log.clone(),
            tail: String::from_utf8_lossy(tail).into_owned(),
        }
    }
}

impl Launch {
    fn run(&self) -> Result<Child, Error> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(Error::io("open", &self.log))?;
        let errors = log.try_clone().map_err(Error::io("open", &self.log))?;
        let mut command = Command::new(&self.leat);
        command
            .args(["service", self.kind.as_str(), "--name", self.instance.as_str(), "--until-stdin-closes"])
            .env("LEAT_NATS__URL", &self.url)
            .env("LEAT_NATS__SUBJECT_PREFIX", &self.prefix)
            .env_remove("NATS_URL")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true);
        if let Some(port) = self.metrics_port {
            command.env("LEAT_HTTP__BIND", format!("127.0.0.1:{port}"));
        }
        if let Some(ports) = self.gateway {
            command
                .env("LEAT_GATEWAY__HTTP_BIND", format!("127.0.0.1:{}", ports.http))
                .env("LEAT_GATEWAY__GRPC_BIND", format!("127.0.0.1:{}", ports.grpc));
        }
        // Its own process group, so that Ctrl-C in a terminal reaches us alone and we stop everything in order.
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(Error::io("start", &self.leat))
    }
}
