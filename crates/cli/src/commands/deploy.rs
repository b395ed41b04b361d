use std::time::Duration;

use clap::Args;
use leat_contract::{Deployment, ModelName, ModelRef};
use leat_messaging::Entry;
use serde_json::json;

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Send live traffic to a version, all of it or a share.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat deploy wine@1\n  leat deploy wine@2 --weight 10\n  \
                        leat deploy wine@2 --max-batch 128 --max-delay-us 500 --queue-max 256")]
pub(crate) struct Deploy {
    /// For example wine@1.
    model: ModelRef,
    /// The share of live traffic in percent; the other versions keep the rest in their proportion.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    weight: u32,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    wait: Wait,
}

/// How requests to a model are handled, whichever version answers. What is not given stays as it is.
#[derive(Clone, Copy, Debug, Args)]
struct Serving {
    /// Rows of one run of the model, at most (at first 64).
    #[arg(long, value_name = "ROWS")]
    max_batch: Option<u32>,
    /// How long a worker waits for a fuller batch, in microseconds (at first 0: it takes what is ready).
    #[arg(long, value_name = "MICROSECONDS")]
    max_delay_us: Option<u32>,
    /// Requests that may wait on one worker (at first 1024); the next is refused with error 429.
    #[arg(long, value_name = "REQUESTS")]
    queue_max: Option<u32>,
    /// The share of requests with an id whose predictions are recorded, so that labels find them (at first 1).
    #[arg(long, value_name = "RATIO")]
    record: Option<f64>,
}

impl Serving {
    fn apply(&self, deployment: &mut Deployment) {
        let Deployment { batching, limits, record, .. } = deployment;
        batching.max_size = self.max_batch.unwrap_or(batching.max_size);
        batching.max_delay_us = self.max_delay_us.unwrap_or(batching.max_delay_us);
        limits.queue_max = self.queue_max.unwrap_or(limits.queue_max);
        record.ratio = self.record.unwrap_or(record.ratio);
    }
}

/// Send all live traffic to a version and move the alias `production` there.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat promote wine@2")]
pub(crate) struct Promote {
    /// For example wine@2.
    model: ModelRef,
    #[command(flatten)]
    wait: Wait,
}

/// Go back to the routes before the last change.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat rollback wine")]
pub(crate) struct Rollback {
    /// For example wine.
    model: ModelName,
    #[command(flatten)]
    wait: Wait,
}

/// Stop serving a model.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat undeploy wine")]
pub(crate) struct Undeploy {
    /// For example wine.
    model: ModelName,
}

/// Whether to wait for the workers.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wait {
    /// Do not wait until workers serve the new routes.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for them, in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

pub(crate) async fn deploy(global: &GlobalOptions, deploy: Deploy) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let manifest = session.catalogue().registry().resolve(&deploy.model).await?;
    let catalogue = session.catalogue();
    let entry = catalogue.deploy(&manifest, deploy.weight, |next| deploy.serving.apply(next)).await?;
    finish(&session, &entry, deploy.wait).await
}

pub(crate) async fn promote(global: &GlobalOptions, promote: Promote) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let manifest = session.catalogue().registry().resolve(&promote.model).await?;
    let entry = session.catalogue().promote(&manifest).await?;
    finish(&session, &entry, promote.wait).await
}

pub(crate) async fn rollback(global: &GlobalOptions, rollback: Rollback) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let entry = session.catalogue().rollback(&rollback.model).await?;
    finish(&session, &entry, rollback.wait).await
}

pub(crate) async fn undeploy(global: &GlobalOptions, undeploy: Undeploy) -> Result<(), Error> {
    let session = Session::open(global).await?;
    session.catalogue().deployments().remove(&undeploy.model).await?;
    if session.is_json() {
        return output::json(&json!({ "model": undeploy.model, "served": false }));
    }
    output::line(&format!("{} is no longer served", undeploy.model));
    Ok(())
}

async fn finish(session: &Session, entry: &Entry<Deployment>, wait: Wait) -> Result<(), Error> {
    if !wait.no_wait {
        let workers = session.catalogue().wait_until_served(entry, Duration::from_secs(wait.timeout)).await?;
        output::say(&format!("{workers} workers serve the new routes"));
    }
    if session.is_json() {
        return output::json(&entry.value);
    }
    output::line(&format!("{}: {}", entry.value.model, routes(&entry.value)));
    Ok(())
}

/// `wine@1 90 %, wine@2 10 %`.
pub(crate) fn routes(deployment: &Deployment) -> String {
    let route =
        |route: &leat_contract::Route| format!("{}@{} {} %", deployment.model, route.version, route.weight);
    deployment.routes.iter().map(route).collect::<Vec<_>>().join(", ")
}
