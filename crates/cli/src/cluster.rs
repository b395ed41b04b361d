//! A whole cluster on this machine: a broker and one process per service, all children of this one.

mod folder_lock;
mod options;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use leat_broker::{Broker, BrokerOptions, Found, Search, Source};
use leat_contract::{ControlVerb, PingReply, Subjects, WorkerId, decode_json};
use leat_messaging::{ConnectOptions, Connection};

use folder_lock::FolderLock;
pub use options::{ClusterOptions, GatewayPorts, ServiceKind};
use process::ServiceProcess;

use crate::Error;

/// A cold service connects and provisions in well under a second; a loaded machine gets a lot more.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(50);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The running processes. Dropping it ends them; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct Cluster {
    broker: Option<Broker>,
    url: String,
    leat: PathBuf,
    subjects: Subjects,
    log_dir: PathBuf,
    services: Vec<ServiceProcess>,
    gateway: Option<GatewayPorts>,
    connection: Connection,
    /// Two brokers must never write to one folder.
    _folder: FolderLock,
}

impl Cluster {
    /// Starts the broker (unless one is named) and the services, and waits until each says that it is ready.
    /// `say` is told what happens, one line each.
    ///
    /// # Errors
    /// When no broker can be had, a process cannot be started, or one is not ready within a minute.
    pub async fn start(options: &ClusterOptions, mut say: impl FnMut(&str)) -> Result<Self, Error> {
        std::fs::create_dir_all(options.log_dir()).map_err(Error::io("create", &options.log_dir()))?;
        let folder = FolderLock::take(&options.data_dir)?;
        let (broker, url) = start_broker(options, &mut say).await?;
        let connection = Connection::connect(&ConnectOptions::new(&url, "leat-cluster")).await?;
        let mut cluster = Self {
            broker,
            url,
            leat: options.leat.clone(),
            subjects: options.subjects.clone(),
            log_dir: options.log_dir(),
            services: Vec::new(),
            gateway: options.gateway.map(GatewayPorts::chosen).transpose()?,
            connection,
            _folder: folder,
        };
        cluster.refuse_taken_names(options).await?;
        for (kind, instance) in options.services()? {
            cluster.spawn(kind, instance, options.metrics_port.filter(|_| kind == ServiceKind::Monitor))?;
        }
        for index in 0..cluster.services.len() {
            cluster.wait_until_ready(index).await?;
        }
        say(&format!("{} services are ready", cluster.services.len()));
        Ok(cluster)
    }

    /// Where clients connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The subjects under this cluster's prefix.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Where the gateway listens on 127.0.0.1, when there is one.
    pub fn gateway(&self) -> Option<GatewayPorts> {
        self.gateway
    }

    /// Where each service logs, one file per instance.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// The broker that this cluster started, when it started one.
    pub fn broker_mut(&mut self) -> Option<&mut Broker> {
        self.broker.as_mut()
    }

    /// Ends one service at once, as a crash would.
    ///
    /// # Errors
    /// When there is no such instance.
    pub async fn kill(&mut self, instance: &str) -> Result<(), Error> {
        self.find(instance)?.kill().await;
        Ok(())
    }

    /// The id of the process of one service, none when there is no such instance.
    pub fn process_id(&self, instance: &str) -> Option<u32> {
        self.services.iter().find(|service| service.instance().as_str() == instance)?.process_id()
    }

    /// Asks one service to stop in order and waits for it.
    ///
    /// # Errors
    /// When there is no such instance.
    pub async fn stop_service(&mut self, instance: &str) -> Result<(), Error> {
        self.find(instance)?.stop().await;
        Ok(())
    }

    /// Starts one more service, or one that has ended again under its name, and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started or is not ready within a minute.
    pub async fn start_service(&mut self, kind: ServiceKind, instance: &str) -> Result<(), Error> {
        let name: WorkerId = instance.parse()?;
        self.services.retain(|service| service.instance() != &name);
        self.spawn(kind, name, None)?;
        let newest = self.services.len() - 1;
        self.wait_until_ready(newest).await
    }

    /// Starts what has ended by itself again, the broker and services; gives what it started.
    ///
    /// # Errors
    /// When something cannot be started.
    pub async fn revive(&mut self) -> Result<Vec<String>, Error> {
        let mut revived = Vec::new();
        if let Some(broker) = &mut self.broker
            && broker.has_ended()
        {
            broker.restart().await?;
            revived.push("nats-server".to_owned());
        }
        for service in &mut self.services {
            if service.has_ended() && service.may_start_again() {
                service.start_again()?;
                revived.push(service.instance().to_string());
            }
        }
        Ok(revived)
    }

    /// Stops everything in order: services first and all at once, the broker last.
    pub async fn stop(mut self) {
        for service in &mut self.services {
            service.ask_to_stop();
        }
        for service in &mut self.services {
            service.stop().await;
        }
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
    }

    /// On a broker that others use too, a service with one of our names would answer for ours.
    async fn refuse_taken_names(&self, options: &ClusterOptions) -> Result<(), Error> {
        for (_, instance) in options.services()? {
            let subject = self.subjects.control(&instance, ControlVerb::Ping);
            if self.connection.request(subject, bytes::Bytes::new(), PING_TIMEOUT).await.is_ok() {
                let text = format!(
                    "a service named {instance} runs on {} already\nstop that cluster first, or name another broker \
                     (without NATS_URL and --nats-url one is started)",
                    self.url
                );
                return Err(Error::Usage(text));
            }
        }
        Ok(())
    }

    fn find(&mut self, instance: &str) -> Result<&mut ServiceProcess, Error> {
        let found = self.services.iter_mut().find(|service| service.instance().as_str() == instance);
        found.ok_or_else(|| Error::NotFound { what: "service instance", name: instance.to_owned() })
    }

    fn spawn(
        &mut self,
        kind: ServiceKind,
        instance: WorkerId,
        metrics_port: Option<u16>,
    ) -> Result<(), Error> {
        let log = self.log_dir.join(format!("{instance}.log"));
        let launch = process::Launch {
            leat: self.leat.clone(),
            kind,
            instance,
            url: self.url.clone(),
            prefix: self.subjects.prefix().to_owned(),
            metrics_port,
            gateway: self.gateway.filter(|_| kind == ServiceKind::Gateway),
            log,
        };
        self.services.push(ServiceProcess::spawn(launch)?);
        Ok(())
    }

    async fn wait_until_ready(&mut self, index: usize) -> Result<(), Error> {
        let Some(service) = self.services.get_mut(index) else { return Ok(()) };
        let subject = self.subjects.control(service.instance(), ControlVerb::Ping);
        let deadline = tokio::time::Instant::now() + READY_TIMEOUT;
        while tokio::time::Instant::now() < deadline {
            if service.has_ended() {
                return Err(service.failure("ended before it was ready"));
            }
            let reply = self.connection.request(subject.as_str(), bytes::Bytes::new(), PING_TIMEOUT).await;
            if let Ok(message) = reply
                && let Ok(ping) = decode_json::<PingReply>(message.payload())
                && ping.ready
            {
                return Ok(());
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Err(service.failure("was not ready within a minute"))
    }
}

async fn start_broker(
    options: &ClusterOptions,
    say: &mut impl FnMut(&str),
) -> Result<(Option<Broker>, String), Error> {
    let search = Search::from_environment();
    let external = options.external_url.clone();
    match leat_broker::find(external, &search, |note| say(&note.to_string())).await? {
        Source::External(url) => {
            say(&format!("using the broker at {url}"));
            Ok((None, url))
        }
        Source::Binary(binary) => {
            if binary.found == Found::Fetched {
                say(&format!(
                    "fetched nats-server {}, checksum verified: {}",
                    binary.version,
                    binary.path.display()
                ));
            }
            let broker_options = BrokerOptions {
                port: options.port,
                store_dir: Some(options.data_dir.join("nats")),
                log_file: Some(options.log_dir().join("nats-server.log")),
                monitoring_port: None,
            };
            let broker = Broker::start(&binary, &broker_options).await?;
            say(&format!("nats-server {} listens on {}", broker.version(), broker.url()));
            let url = broker.url();
            Ok((Some(broker), url))
        }
    }
}
