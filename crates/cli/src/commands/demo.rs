use clap::{Args, ValueEnum};
use leat_contract::Subjects;

use crate::arguments::GlobalOptions;
use crate::cluster::{Cluster, ClusterOptions, GatewayPorts};
use crate::commands::up::{addresses, asked_to_stop, own_executable, watch_over};
use crate::demo::{Scenario, Story};
use crate::{Error, output};

/// Where `--keep` serves metrics.
const KEPT_METRICS_PORT: u16 = 9464;

/// Run the whole loop on real data and print what came of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat demo\n  leat demo --scenario regression\n  leat demo --keep")]
pub(crate) struct Demo {
    /// What to learn.
    #[arg(long, value_enum, default_value_t = ScenarioArgument::Digits)]
    scenario: ScenarioArgument,
    /// Leave the cluster up afterwards and print what to try next.
    #[arg(long)]
    keep: bool,
    /// Requesters that wait for a reply at any time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// How long each phase under load takes, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    phase_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScenarioArgument {
    /// 1,797 handwritten digits, MLP 64-128-64-10.
    Digits,
    /// 1,000 random rows, MLP 10-64-1, 100 full-batch epochs of Adam.
    Regression,
}

pub(crate) async fn run(global: &GlobalOptions, demo: Demo) -> Result<(), Error> {
    let scenario = match demo.scenario {
        ScenarioArgument::Digits => Scenario::digits()?,
        ScenarioArgument::Regression => Scenario::regression()?,
    };
    let folder = tempfile::Builder::new().prefix("leat-demo-").tempdir();
    let folder = folder.map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
    let options = ClusterOptions {
        leat: own_executable()?,
        workers: 2,
        port: 0,
        metrics_port: demo.keep.then_some(KEPT_METRICS_PORT),
        gateway: demo.keep.then_some(GatewayPorts { http: 0, grpc: 0 }),
        data_dir: folder.path().to_owned(),
        external_url: global.nats_url.clone(),
        subjects: Subjects::new(&global.prefix)?,
    };
    output::say(&format!("leat demo: {}", scenario.title));
    let outcome = perform(global, &demo, &scenario, &options).await;
    if matches!(&outcome, Err(error) if !matches!(error, Error::Interrupted)) {
        output::say(&format!("logs are kept in {}", folder.keep().join("logs").display()));
    }
    outcome
}

/// Tells the story on a cluster of its own, which is gone afterwards.
async fn perform(
    global: &GlobalOptions,
    demo: &Demo,
    scenario: &Scenario,
    options: &ClusterOptions,
) -> Result<(), Error> {
    let mut cluster = Cluster::start(options, output::say).await?;
    let phase = std::time::Duration::from_secs(demo.phase_seconds);
    let story = Story { concurrency: demo.concurrency.into(), phase, scenario };
    let told = tokio::select! {
        told = story.tell(&mut cluster) => told,
        () = asked_to_stop() => Err(Error::Interrupted),
    };
    let outcome = told.and_then(|summary| summary.print(global.output).and_then(|()| summary.verdict()));
    if !demo.keep || matches!(outcome, Err(Error::Interrupted)) {
        cluster.stop().await;
        return outcome;
    }
    if let Err(error) = &outcome {
        output::say(&error.to_string());
    }
    output::say(&format!("{}{}", addresses(&cluster, KEPT_METRICS_PORT), hints(&cluster, scenario, options)));
    watch_over(cluster).await;
    outcome
}

/// What to try on a cluster that has played the demo.
fn hints(cluster: &Cluster, scenario: &Scenario, options: &ClusterOptions) -> String {
    let (leat, model) = (options.leat.display(), &scenario.model);
    format!(
        "One of the two workers stays killed. Try, in another terminal:\n  \
         export NATS_URL={}\n  \
         {leat} status\n  \
         {leat} models diff {model}@1 {model}@2\n  \
         {leat} rollback {model}\n  \
         {leat} service inference-worker --name worker-3\n",
        cluster.url()
    )
}
