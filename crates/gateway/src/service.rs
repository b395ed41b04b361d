//! The service: what it starts, and in which order it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leat_catalogue::Catalogue;
use leat_contract::assets::AssetRole;
use leat_messaging::micro::{self, ServiceInfo};
use leat_service_runtime::{Context, Service};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::body::BodyLimits;
use crate::connection::Bounds;
use crate::cors::Cors;
use crate::edge::{Connected, Edge};
use crate::keys::Keys;
use crate::listener::{Listener, Terms};
use crate::metrics::EdgeMetrics;
use crate::payloads::Payloads;
use crate::replaced::Files;
use crate::served::{Served, until};
use crate::threads::Threads;
use crate::workers::Workers;
use crate::{Error, Settings, grpc, tls};

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
}

impl Gateway {
    /// Gives a gateway with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Service for Gateway {
    type Settings = Settings;
    type Error = Error;

    const NAME: &'static str = "gateway";

    async fn run(self, context: Context) -> Result<(), Error> {
        let settings = self.settings;
        let stop = CancellationToken::new();
        // What follows must end also when the gateway does not come so far.
        let _stopped = stop.clone().drop_guard();
        // What the settings name is checked before a port is open.
        let keys = keys(&settings, &context, &stop)?;
        let tls = certificate(&settings, &context, &stop)?;
        let (http, grpc) =
            (Listener::bind(settings.http_bind).await?, Listener::bind(settings.grpc_bind).await?);
        let _micro = describe(&context).await?;
        let served = follow(&context, &stop);
        let (bounds, connections_max) = (Bounds::of(&settings), settings.connections_max);
        let leaving = Duration::from_millis(settings.leaving_ms);
        let terms = Terms { threads: threads(settings, keys, &served, &context).await?, bounds, tls };
        info!(http = %http.address, grpc = %grpc.address, tls = terms.tls.is_some(), "the gateway is open");
        let ready = async {
            // Before that an absent model could not be told from an unknown one.
            if context.shutdown.run_until_cancelled(served.listed()).await.is_some() {
                context.readiness.set_ready();
            }
            context.shutdown.cancelled().await;
            context.readiness.set_not_ready("it is leaving");
            tokio::time::sleep(leaving).await;
            stop.cancel();
        };
        tokio::join!(
            ready,
            http.serve(terms.clone(), connections_max, stop.clone()),
            grpc.serve(terms, connections_max, stop.clone())
        );
        Ok(())
    }
}

/// The keys of now, those of a file as it stands there.
fn keys(
    settings: &Settings,
    context: &Context,
    stop: &CancellationToken,
) -> Result<watch::Receiver<Keys>, Error> {
    let files = settings.keys_file.clone().map(|path| Files::new("keys", vec![path]));
    let keys = Keys::load(&settings.keys, settings.keys_file.as_deref(), &Keys::default())?;
    warn_if_open(settings, &keys);
    let (sender, current) = watch::channel(keys);
    if let Some(files) = files {
        let (listed, path) = (settings.keys.clone(), settings.keys_file.clone());
        let read = move |former: &Keys| Keys::load(&listed, path.as_deref(), former);
        let followed = files.follow(sender, settings.files_check(), read);
        context.tasks.spawn("keys", until(stop.clone(), followed));
    }
    Ok(current)
}

/// The certificate of now; none without TLS.
fn certificate(
    settings: &Settings,
    context: &Context,
    stop: &CancellationToken,
) -> Result<Option<watch::Receiver<TlsAcceptor>>, Error> {
    let files = settings.tls_certificate_file.clone().zip(settings.tls_key_file.clone());
    let Some((certificate, key)) = files else { return Ok(None) };
    let files = Files::new("certificate", vec![certificate.clone(), key.clone()]);
    let (sender, current) = watch::channel(tls::acceptor(&certificate, &key)?);
    let followed = files.follow(sender, settings.files_check(), move |_| tls::acceptor(&certificate, &key));
    context.tasks.spawn("certificate", until(stop.clone(), followed));
    Ok(Some(current))
}

/// What each thread answers with: a request is read, asked over the broker and answered on one thread, because waking another one takes
/// longer than all of that.
async fn threads(
    settings: Settings,
    keys: watch::Receiver<Keys>,
    served: &Served,
    context: &Context,
) -> Result<Threads<Connected>, Error> {
    let count = settings.threads.get();
    let first = edge(settings, keys, served.clone(), context);
    let mut threads = Vec::with_capacity(count);
    for index in 0..count {
        let connection = context.connect(&format!("edge-{index}")).await?;
        let edge = Arc::new(Edge { workers: first.workers.over(connection), ..first.clone() });
        threads.push(Connected { grpc: grpc::Services::new(&edge), edge });
    }
    Ok(Threads::new(threads))
}

fn edge(settings: Settings, keys: watch::Receiver<Keys>, served: Served, context: &Context) -> Edge {
    let connections = &context.connections;
    let body_timeout = Duration::from_millis(settings.body_timeout_ms);
    let bodies = BodyLimits::new(settings.body_bytes_max, settings.bodies_bytes_max, body_timeout);
    let payloads = Payloads::new(
        context.storage.objects(AssetRole::Payloads),
        settings.object_bytes_max,
        bodies.memory().clone(),
    );
    Edge {
        keys,
        cors: Arc::new(Cors::new(&settings.cors_origins)),
        bodies: Arc::new(bodies),
        workers: Workers::new(
            connections.reply.clone(),
            connections.control.clone(),
            context.subjects.clone(),
            served,
            payloads,
        ),
        catalogue: Arc::new(Catalogue::new(
            &context.storage,
            |error| warn!(%error, "a document is left out"),
        )),
        readiness: context.readiness.clone(),
        leaving: context.shutdown.clone(),
        inflight: context.inflight.clone(),
        metrics: EdgeMetrics::new(&context.metrics),
        all_metrics: context.metrics.clone(),
        begins_traces: context.traces,
        settings: Arc::new(settings),
    }
}

/// Follows what should be served until the gateway takes no more requests.
fn follow(context: &Context, stop: &CancellationToken) -> Served {
    let served = Served::default();
    let (deployments, aliases) = (served.clone(), served.clone());
    let storage = context.storage.clone();
    context.tasks.spawn("deployments", until(stop.clone(), deployments.follow_deployments(storage)));
    let storage = context.storage.clone();
    context.tasks.spawn("aliases", until(stop.clone(), aliases.follow_aliases(storage)));
    served
}

/// Its place in the NATS micro protocol. It answers on no subject, so it lists no endpoint.
async fn describe(context: &Context) -> Result<micro::Service, Error> {
    let info = ServiceInfo {
        name: format!("{}-gateway", context.subjects.prefix()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "takes HTTP and gRPC onto the subjects of inference".to_owned(),
        metadata: BTreeMap::new(),
    };
    Ok(micro::Service::start(&context.connections.control, context.instance.as_str(), info).await?)
}

fn warn_if_open(settings: &Settings, keys: &Keys) {
    let is_local = settings.http_bind.ip().is_loopback() && settings.grpc_bind.ip().is_loopback();
    if keys.is_open() && !is_local {
        warn!("other machines may ask without a key, and load and unload models: set gateway.keys_file");
    }
}
