mod rollout;
mod serving;

use std::time::Duration;

use clap::Args;
use leat_contract::{AssetRole, Deployment, LoadState, Manifest, ModelName, ModelRef, Route, WorkerLease};
use leat_messaging::Entry;
use leat_service_runtime::unix_ms;
use serde_json::json;
use tokio::time::Instant;

use self::rollout::Rollout;
use self::serving::Serving;
use crate::arguments::GlobalOptions;
use crate::session::{PRODUCTION, Session};
use crate::{Error, output};

const READY_POLL: Duration = Duration::from_millis(50);
/// A worker tries again what it could not load; what still fails after this long is told.
const FAILED_PATIENCE: Duration = Duration::from_secs(2);

/// Send live traffic to a version, all of it or a share.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat deploy wine@1\n  leat deploy wine@2 --weight 10\n  \
                        leat deploy wine@2 --shadow 0.5\n  leat deploy wine@2 --canary 10 --promote-after 15m\n  \
                        leat deploy wine@2 --average-with wine@1\n  \
                        leat deploy wine@2 --max-batch 128 --max-delay-us 500 --queue-max 256 --select pool=small")]
pub(crate) struct Deploy {
    /// For example wine@1.
    model: ModelRef,
    /// The share of live traffic in percent; the other versions keep the rest in their proportion.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    weight: u32,
    #[command(flatten)]
    rollout: Rollout,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    wait: Wait,
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
    let manifest = session.registry().resolve(&deploy.model).await?;
    deploy.serving.check()?;
    let pipeline = deploy.serving.pipeline(&session.registry()).await?;
    let adjust = |next: &mut Deployment| {
        if let Some(pipeline) = &pipeline {
            next.pipeline.clone_from(pipeline);
        }
        deploy.serving.apply(next);
        deploy.rollout.apply(next, manifest.version);
    };
    let entry = if deploy.rollout.is_shadow() {
        let shadow = deploy.rollout.shadow(&manifest);
        session.deployments().shadow(&manifest.model, shadow, adjust).await?
    } else {
        let weight = deploy.rollout.weight().unwrap_or(deploy.weight);
        session.deployments().route(&manifest, weight, adjust).await?
    };
    if entry.value.routes.len() == 1 {
        point_production_at(&session, &entry.value).await?;
    }
    finish(&session, &entry, deploy.wait).await
}

pub(crate) async fn promote(global: &GlobalOptions, promote: Promote) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let manifest = session.registry().resolve(&promote.model).await?;
    let entry = promote_to(&session, &manifest).await?;
    finish(&session, &entry, promote.wait).await
}

/// Sends all live traffic to a version and moves the alias `production` there.
pub(crate) async fn promote_to(session: &Session, manifest: &Manifest) -> Result<Entry<Deployment>, Error> {
    let entry = session.deployments().route(manifest, 100, |_| ()).await?;
    point_production_at(session, &entry.value).await?;
    Ok(entry)
}

pub(crate) async fn rollback(global: &GlobalOptions, rollback: Rollback) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let entry = session.deployments().rollback(&rollback.model).await?;
    point_production_at(&session, &entry.value).await?;
    finish(&session, &entry, rollback.wait).await
}

pub(crate) async fn undeploy(global: &GlobalOptions, undeploy: Undeploy) -> Result<(), Error> {
    let session = Session::open(global).await?;
    session.deployments().remove(&undeploy.model).await?;
    if session.is_json() {
        return output::json(&json!({ "model": undeploy.model, "served": false }));
    }
    output::line(&format!("{} is no longer served", undeploy.model));
    Ok(())
}

/// The version with the largest share is the one in production.
async fn point_production_at(session: &Session, deployment: &Deployment) -> Result<(), Error> {
    let Some(route) = deployment.routes.iter().max_by_key(|route| route.weight) else { return Ok(()) };
    session.registry().move_alias(&deployment.model, &PRODUCTION.parse()?, route.version).await
}

async fn finish(session: &Session, entry: &Entry<Deployment>, wait: Wait) -> Result<(), Error> {
    if !wait.no_wait {
        let workers = wait_until_served(session, entry, Duration::from_secs(wait.timeout)).await?;
        output::say(&format!("{workers} workers serve the new routes"));
    }
    if session.is_json() {
        return output::json(&entry.value);
    }
    output::line(&format!("{}: {}", entry.value.model, routes(&entry.value)));
    Ok(())
}

/// `wine@1 90 %, wine@2 10 % (canary)`.
pub(crate) fn routes(deployment: &Deployment) -> String {
    let Deployment { model, canary, shadow, .. } = deployment;
    let route = |route: &Route| {
        let is_canary = canary.as_ref().is_some_and(|canary| canary.version == route.version);
        let canary = if is_canary { " (canary)" } else { "" };
        format!("{model}@{} {} %{canary}", route.version, route.weight)
    };
    let shadow = shadow.iter().map(|shadow| format!("{model}@{} shadows {}", shadow.version, shadow.ratio));
    deployment.routes.iter().map(route).chain(shadow).collect::<Vec<_>>().join(", ")
}

/// Waits until every live worker that the deployment selects has applied it; gives how many there are.
///
/// # Errors
/// When a worker cannot load a version, or there is no such worker in time.
pub(crate) async fn wait_until_served(
    session: &Session,
    entry: &Entry<Deployment>,
    timeout: Duration,
) -> Result<usize, Error> {
    let leases = session.storage.key_value::<WorkerLease>(AssetRole::Actual);
    let (began, deadline) = (Instant::now(), Instant::now() + timeout);
    loop {
        let now = unix_ms();
        let (entries, _) = leases.entries_readable().await?;
        let is_meant = |lease: &WorkerLease| !lease.is_expired(now) && entry.value.selects(&lease.labels);
        let live: Vec<WorkerLease> = entries.into_iter().map(|entry| entry.value).filter(is_meant).collect();
        let failure = live.iter().find_map(|lease| load_failure(lease, &entry.value));
        if let Some(failure) = failure.filter(|_| began.elapsed() > FAILED_PATIENCE) {
            return Err(failure);
        }
        let has_applied = |lease: &&WorkerLease| {
            lease
                .deployment_revisions
                .get(&entry.value.model)
                .is_some_and(|revision| *revision >= entry.revision)
        };
        let applied = live.iter().filter(has_applied).count();
        if applied > 0 && applied == live.len() {
            return Ok(applied);
        }
        if Instant::now() >= deadline {
            let text = format!(
                "{applied} of {} workers serve {} after {timeout:?}; `leat status` shows what each has loaded",
                live.len(),
                routes(&entry.value)
            );
            return Err(Error::Usage(text));
        }
        tokio::time::sleep(READY_POLL).await;
    }
}

fn load_failure(lease: &WorkerLease, deployment: &Deployment) -> Option<Error> {
    let shadow = deployment.shadow.iter().map(|shadow| (shadow.version, &shadow.digest));
    let mut versions = deployment.routes.iter().map(|route| (route.version, &route.digest)).chain(shadow);
    let failed = versions.find_map(|(version, digest)| {
        let loaded = lease.loaded(&deployment.model, version)?;
        (loaded.state == LoadState::Failed && loaded.digest == *digest).then_some(loaded)
    })?;
    let reason = failed.error.as_ref().map_or("no reason was given", |error| error.message.as_str());
    Some(Error::Usage(format!("{} cannot load {}@{}: {reason}", lease.worker, failed.model, failed.version)))
}
