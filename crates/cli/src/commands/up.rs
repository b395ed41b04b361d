use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use leat_contract::Subjects;

use crate::arguments::GlobalOptions;
use crate::cluster::{Cluster, ClusterOptions, GatewayPorts};
use crate::{Error, output};

/// How often processes are looked after, and how seldom at last when something cannot be started.
const REVIVE_PAUSE: Duration = Duration::from_millis(500);
const REVIVE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Run a whole cluster on this machine: broker, trainer, compressor, inference workers, monitor, gateway.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat up --workers 2 --port 4222 --data-dir ./leat-data")]
pub(crate) struct Up {
    /// Inference workers.
    #[arg(long, default_value_t = 2)]
    workers: u16,
    /// The broker's port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 4222)]
    port: u16,
    /// Where models, streams and logs are kept.
    #[arg(long, default_value = "leat-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// The gateway's port for HTTP on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    http_port: u16,
    /// The gateway's port for gRPC on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8001)]
    grpc_port: u16,
    /// The port of the monitor's Prometheus metrics on 127.0.0.1.
    #[arg(long, default_value_t = 9464)]
    metrics_port: u16,
}

pub(crate) async fn run(global: &GlobalOptions, up: Up) -> Result<(), Error> {
    let options = ClusterOptions {
        leat: own_executable()?,
        workers: up.workers,
        port: up.port,
        metrics_port: Some(up.metrics_port),
        gateway: Some(GatewayPorts { http: up.http_port, grpc: up.grpc_port }),
        data_dir: up.data_dir,
        external_url: global.nats_url.clone(),
        subjects: Subjects::new(&global.prefix)?,
    };
    let cluster = Cluster::start(&options, output::say).await?;
    output::say(&format!("{}{}", addresses(&cluster, up.metrics_port), hints(&cluster, &options.leat)));
    watch_over(cluster).await;
    Ok(())
}

/// Keeps the cluster up until Ctrl-C or SIGTERM. What cannot be started again is tried again, ever more seldom.
pub(crate) async fn watch_over(mut cluster: Cluster) {
    let mut stop = std::pin::pin!(asked_to_stop());
    let mut pause = REVIVE_PAUSE;
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(pause) => pause = revive(&mut cluster, pause).await,
        }
    }
    output::say("stopping: services first, the broker last");
    cluster.stop().await;
}

/// Starts again what has ended; gives how long to wait before the next look.
async fn revive(cluster: &mut Cluster, pause: Duration) -> Duration {
    match cluster.revive().await {
        Ok(revived) => {
            for instance in revived {
                output::say(&format!("{instance} had ended and was started again; its log says why"));
            }
            REVIVE_PAUSE
        }
        Err(error) => {
            let next = (pause * 2).min(REVIVE_PAUSE_MAX);
            output::say(&format!("{error}\ntrying again in {next:?}"));
            next
        }
    }
}

/// The program that runs, to run it again as a service.
pub(crate) fn own_executable() -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map_err(|error| Error::Usage(format!("cannot find this program's own file: {error}")))
}

/// Where everything is.
pub(crate) fn addresses(cluster: &Cluster, metrics_port: u16) -> String {
    let gateway = cluster.gateway().map_or_else(String::new, |ports| {
        format!("gateway  http://127.0.0.1:{}, gRPC on 127.0.0.1:{}\n  ", ports.http, ports.grpc)
    });
    format!(
        "\nThe cluster is up. Ctrl-C stops it.\n  \
         broker   {} (requests go to {})\n  \
         {gateway}metrics  http://127.0.0.1:{metrics_port}/metrics\n  \
         logs     {}\n",
        cluster.url(),
        cluster.subjects().infer_all(),
        cluster.log_dir().display()
    )
}

/// What to try on a new cluster.
fn hints(cluster: &Cluster, leat: &Path) -> String {
    let leat = leat.display();
    format!(
        "Try, in another terminal:\n  \
         export NATS_URL={}\n  \
         {leat} train --name digits --data crates/cli/data/digits.csv --target digit\n  \
         {leat} deploy digits\n  \
         {leat} predict digits --csv crates/cli/data/digits.csv\n  \
         {leat} status\n",
        cluster.url()
    )
}

/// Waits for Ctrl-C or SIGTERM.
#[cfg(unix)]
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return interrupted().await };
    tokio::select! {
        _ = terminate.recv() => {}
        () = interrupted() => {}
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn asked_to_stop() {
    interrupted().await;
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals only being killed ends the cluster, and then its children end with it.
        std::future::pending::<()>().await;
    }
}
