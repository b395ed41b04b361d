//! A server of our own, from start to end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::configuration::Configuration;
use crate::greeting::greet;
use crate::process::Process;
use crate::{Binary, Error, check_version};

/// A cold start takes about 100 ms; a loaded machine or a large store gets two orders more.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const START_POLL: Duration = Duration::from_millis(10);
const LOG_TAIL_BYTES: usize = 4096;

/// How a server is run.
#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Where streams are kept; nothing means a temporary folder that goes with the [`Broker`].
    pub store_dir: Option<PathBuf>,
    /// Where the server logs; nothing means beside the store.
    pub log_file: Option<PathBuf>,
    /// The port of the server's HTTP monitoring endpoint on 127.0.0.1; nothing leaves it off.
    pub monitoring_port: Option<u16>,
}

/// A running server. Dropping it kills the server; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct Broker {
    binary: Binary,
    monitoring_port: Option<u16>,
    process: Process,
    port: u16,
    store_dir: PathBuf,
    log_file: PathBuf,
    /// The configuration and ports files, and the store when none was named.
    scratch: TempDir,
}

impl Broker {
    /// Starts a server and waits until it answers.
    ///
    /// Fails when it ends or stays silent for 20 s (with the end of its log), and when the server that
    /// answers is one that Leat refuses.
    pub async fn start(binary: &Binary, options: &BrokerOptions) -> Result<Self, Error> {
        let scratch = TempDir::with_prefix("leat-broker-").map_err(Error::io("create a temporary folder"))?;
        let store_dir = absolute(options.store_dir.clone().unwrap_or_else(|| scratch.path().join("store")))?;
        let log_file =
            absolute(options.log_file.clone().unwrap_or_else(|| store_dir.join("nats-server.log")))?;
        for folder in [Some(store_dir.as_path()), log_file.parent()].into_iter().flatten() {
            std::fs::create_dir_all(folder).map_err(Error::io(format!("create {}", folder.display())))?;
        }
        let launch = Launch {
            binary: &binary.path,
            scratch: scratch.path(),
            monitoring_port: options.monitoring_port,
            store_dir: &store_dir,
            log_file: &log_file,
        };
        let (process, port) = launch.start(Some(options.port).filter(|port| *port != 0)).await?;
        tracing::info!(port, version = %binary.version, path = %binary.path.display(), "nats-server started");
        let monitoring_port = options.monitoring_port;
        Ok(Self { binary: binary.clone(), monitoring_port, process, port, store_dir, log_file, scratch })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        &self.binary.version
    }

    /// The operating system's id of the server process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where the server logs.
    pub fn log_file(&self) -> &Path {
        &self.log_file
    }

    /// Whether the server has ended although nobody stopped it.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Stops the server in order; the store stays where it was named.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }

    /// Ends the server at once, as a crash would. [`Broker::restart`] brings it back.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Ends the server at once if it runs, and starts it again on the same port and store.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.process.kill().await;
        let launch = Launch {
            binary: &self.binary.path,
            scratch: self.scratch.path(),
            monitoring_port: self.monitoring_port,
            store_dir: &self.store_dir,
            log_file: &self.log_file,
        };
        (self.process, _) = launch.start(Some(self.port)).await?;
        Ok(())
    }
}

/// Everything one start needs.
struct Launch<'a> {
    binary: &'a Path,
    scratch: &'a Path,
    monitoring_port: Option<u16>,
    store_dir: &'a Path,
    log_file: &'a Path,
}

impl Launch<'_> {
    async fn start(&self, port: Option<u16>) -> Result<(Process, u16), Error> {
        let ports_dir =
            tempfile::tempdir_in(self.scratch).map_err(Error::io("create a folder for the ports file"))?;
        let path = self.scratch.join("nats-server.conf");
        let configuration = Configuration {
            port,
            monitoring_port: self.monitoring_port,
            store_dir: self.store_dir,
            ports_dir: ports_dir.path(),
            log_file: self.log_file,
        };
        std::fs::write(&path, configuration.text())
            .map_err(Error::io(format!("write {}", path.display())))?;
        let mut process = Process::spawn(self.binary, &path, self.log_file).await?;
        let port = self.wait_until_it_answers(&mut process, ports_dir.path()).await?;
        Ok((process, port))
    }

    async fn wait_until_it_answers(&self, process: &mut Process, ports_dir: &Path) -> Result<u16, Error> {
        let started = Instant::now();
        let mut reason = "it has not opened its port".to_owned();
        while started.elapsed() < START_TIMEOUT {
            if let Some(status) = process.ended() {
                reason = format!("it ended with {status}");
                break;
            }
            // Only the server's own ports file is asked: another server may hold the port that was named.
            if let Some(port) = announced_port(ports_dir) {
                match greet(port).await {
                    Ok(greeting) if greeting.stores_streams => {
                        check_version(&greeting.version)?;
                        return Ok(port);
                    }
                    Ok(_) => reason = "it answers without JetStream".to_owned(),
                    Err(failure) => reason = failure,
                }
            }
            tokio::time::sleep(START_POLL).await;
        }
        Err(Error::NotAnswering {
            waited: started.elapsed(),
            reason,
            log_file: self.log_file.to_owned(),
            log_tail: log_tail(self.log_file),
        })
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, Error> {
    std::path::absolute(&path).map_err(Error::io(format!("resolve {}", path.display())))
}

/// The client port in the one ports file of `folder`, once the server has written it.
fn announced_port(folder: &Path) -> Option<u16> {
    let file = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).next()?;
    let text = std::fs::read_to_string(file.path()).ok()?;
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    let url = ports.get("nats")?.get(0)?.as_str()?;
    url.rsplit(':').next()?.parse().ok()
}

fn log_tail(path: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let start = text.len().saturating_sub(LOG_TAIL_BYTES);
    let boundary = (start..=text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    text.get(boundary..).unwrap_or_default().to_owned()
}
