use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use leat_contract::Subjects;

use crate::arguments::GlobalOptions;
use crate::cluster::{Cluster, ClusterOptions};
use crate::{Error, output};

/// How often processes are looked after.
const REVIVE_PAUSE: Duration = Duration::from_millis(500);

/// Run a whole cluster on this machine: broker, trainer, compressor, inference workers, monitor.
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
    /// The port of the monitor's Prometheus metrics on 127.0.0.1.
    #[arg(long, default_value_t = 9464)]
    http_port: u16,
}

pub(crate) async fn run(global: &GlobalOptions, up: Up) -> Result<(), Error> {
    let options = ClusterOptions {
        leat: own_executable()?,
        workers: up.workers,
        port: up.port,
        http_port: Some(up.http_port),
        data_dir: up.data_dir,
        external_url: global.nats_url.clone(),
        subjects: Subjects::new(&global.prefix)?,
    };
    let cluster = Cluster::start(&options, output::say).await?;
    output::say(&hints(&cluster, up.http_port));
    watch_over(cluster).await
}

/// Keeps the cluster up until Ctrl-C or SIGTERM.
pub(crate) async fn watch_over(mut cluster: Cluster) -> Result<(), Error> {
    let mut stop = std::pin::pin!(asked_to_stop());
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(REVIVE_PAUSE) => {
                for instance in cluster.revive().await? {
                    output::say(&format!("{instance} had ended and was started again; its log says why"));
                }
            }
        }
    }
    output::say("stopping: services first, the broker last");
    cluster.stop().await;
    Ok(())
}

/// The program that runs, to run it again as a service.
pub(crate) fn own_executable() -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map_err(|error| Error::Usage(format!("cannot find this program's own file: {error}")))
}

/// What to try next.
pub(crate) fn hints(cluster: &Cluster, http_port: u16) -> String {
    let (url, infer) = (cluster.url(), cluster.subjects().infer_all());
    format!(
        "\nThe cluster is up. Ctrl-C stops it.\n  \
         broker   {url} (requests go to {infer})\n  \
         metrics  http://127.0.0.1:{http_port}/metrics\n  \
         logs     {}\n\
         Try, in another terminal:\n  \
         export NATS_URL={url}\n  \
         leat train --name digits --data crates/cli/data/digits.csv --target digit\n  \
         leat deploy digits@1\n  \
         leat predict digits --csv crates/cli/data/digits.csv\n  \
         leat status\n",
        cluster.log_dir().display()
    )
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return interrupted().await };
    tokio::select! {
        _ = terminate.recv() => {}
        () = interrupted() => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    interrupted().await;
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals only being killed ends the cluster, and then its children end with it.
        std::future::pending::<()>().await;
    }
}
