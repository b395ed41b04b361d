mod rollout;
mod serving;

use std::time::Duration;

use clap::Args;
use leat_contract::{Deployment, ModelName, ModelRef, Pipeline, PipelineMode, Route};
use leat_messaging::Entry;
use serde_json::json;

use self::rollout::Rollout;
use self::serving::Serving;
use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Send live traffic to a version, all of it or a share.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat deploy wine@1\n  leat deploy wine@2 --weight 10\n  \
                        leat deploy wine@2 --shadow 0.5\n  leat deploy wine@2 --canary 10 --promote-after 15m\n  \
                        leat deploy wine@2 --average-with wine@1\n  \
                        leat deploy wine@2 --max-batch 128 --max-delay-us 500 --queue-max 256 --select pool=small")]
pub(crate) struct Deploy {
    /// For example wine@1.
    model: ModelRef,
    /// The share of live traffic in percent; the other versions keep the rest in their proportion. With 0 it answers those who name it.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
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
    let catalogue = session.catalogue();
    let manifest = catalogue.registry().resolve(&deploy.model).await?;
    deploy.serving.check()?;
    let pipeline = deploy.serving.pipeline(catalogue.registry()).await?;
    let adjust = |next: &mut Deployment| {
        if let Some(pipeline) = &pipeline {
            next.pipeline.clone_from(pipeline);
        }
        deploy.serving.apply(next);
        deploy.rollout.apply(next, manifest.version);
    };
    let entry = if deploy.rollout.is_shadow() {
        let shadow = deploy.rollout.shadow(&manifest);
        catalogue.deployments().shadow(&manifest.model, shadow, adjust).await?
    } else {
        let weight = deploy.rollout.weight().unwrap_or(deploy.weight);
        catalogue.deploy(&manifest, weight, adjust).await?
    };
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

/// `wine@1 90 %, wine@2 10 % (canary)`.
pub(crate) fn routes(deployment: &Deployment) -> String {
    let Deployment { model, canary, shadow, pipeline, .. } = deployment;
    let route = |route: &Route| {
        let is_canary = canary.as_ref().is_some_and(|canary| canary.version == route.version);
        let canary = if is_canary { " (canary)" } else { "" };
        format!("{} {} %{canary}", model.at(route.version), route.weight)
    };
    let shadow = shadow.iter().map(|shadow| format!("{} shadows {}", model.at(shadow.version), shadow.ratio));
    let pipeline = pipeline.iter().map(with);
    deployment.routes.iter().map(route).chain(shadow).chain(pipeline).collect::<Vec<_>>().join(", ")
}

/// `averaged with wine@1 and wine@3`.
fn with(pipeline: &Pipeline) -> String {
    let (how, between) = match pipeline.mode {
        PipelineMode::Sequence => ("then", ", then "),
        PipelineMode::Average => ("averaged with", " and "),
        PipelineMode::Vote => ("voting with", " and "),
    };
    let members = pipeline.members.iter().map(|member| member.model.at(member.version).to_string());
    format!("{how} {}", members.collect::<Vec<_>>().join(between))
}
