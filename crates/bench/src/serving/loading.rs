//! What loading a model does to another one of the same worker.
//!
//! Requests come at a fixed rate, and a latency counts from the moment at which its request should have been sent. Each round has a time
//! in which another model is replaced again and again, each time by one that the worker no longer has in memory, and a time without.

use std::time::Duration;

use leat_contract::Digest;
use leat_load::{Arrivals, Pace, Percentiles};
use leat_model::{Body, Model};
use tokio_util::sync::CancellationToken;

use super::deployment::Deployer;
use super::lane::Lane;
use super::stage::Stage;
use crate::arguments::LoadingOptions;
use crate::timing::median;
use crate::{Error, models, report, shapes};

const OTHER: &str = "other";
/// Models that are loaded in turn: more than a worker keeps ready.
const MODELS: usize = 24;
const OUTSTANDING_MAX: usize = 1024;

/// The latencies of one time, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Latencies {
    p50: f64,
    p99: f64,
}

/// Measures and gives what there is to say.
///
/// # Errors
/// When the worker does not start, or a request fails.
pub(super) async fn measure(stage: &mut Stage, options: &LoadingOptions) -> Result<String, Error> {
    let (lane, mut deployer) = stage.raise_worker(options.leat.as_deref()).await?;
    let digests = store(&deployer, &options.shape).await?;
    let mut others = digests.iter().cycle();
    let (mut quiet, mut loading, mut loads) = (Vec::new(), Vec::new(), 0);
    for round in 1..=options.rounds {
        let before = ask(&lane, options).await?;
        let end = CancellationToken::new();
        let replacing = replace(&mut deployer, &mut others, Duration::from_millis(options.pause), &end);
        let asking = async {
            let asked = ask(&lane, options).await;
            end.cancel();
            asked
        };
        let (meanwhile, replaced) = tokio::join!(asking, replacing);
        let meanwhile = meanwhile?;
        loads += replaced?;
        report::say(&format!(
            "round {round} of {}: p50 {:.0} and {:.0} µs, p99 {:.0} and {:.0} µs",
            options.rounds, before.p50, meanwhile.p50, before.p99, meanwhile.p99
        ))?;
        quiet.push(before);
        loading.push(meanwhile);
    }
    let ratio = |of: fn(&Latencies) -> f64| {
        median(quiet.iter().zip(&loading).map(|(quiet, loading)| of(loading) / of(quiet)).collect())
    };
    let middle = |all: &[Latencies], of: fn(&Latencies) -> f64| median(all.iter().map(of).collect());
    Ok(format!(
        "{} requests/s, another model ({}) loaded {loads} times:\n\
         p50 {:.0} µs without loading, {:.0} µs with it, {:.2} times as long\n\
         p99 {:.0} µs without loading, {:.0} µs with it, {:.2} times as long",
        options.rate,
        shapes::named(&options.shape)?.describe(),
        middle(&quiet, |at| at.p50),
        middle(&loading, |at| at.p50),
        ratio(|at| at.p50),
        middle(&quiet, |at| at.p99),
        middle(&loading, |at| at.p99),
        ratio(|at| at.p99),
    ))
}

/// Stores models of one shape that differ in one number.
async fn store(deployer: &Deployer, shape: &str) -> Result<Vec<Digest>, Error> {
    let mut model = models::dense(&shapes::named(shape)?, None)?;
    OTHER.clone_into(&mut model.name);
    let mut digests = Vec::new();
    for number in 0..MODELS {
        mark(&mut model, number);
        digests.push(deployer.store(&model).await?);
    }
    Ok(digests)
}

fn mark(model: &mut Model, number: usize) {
    if let Body::Network(network) = &mut model.body
        && let Some(bias) = network.layers.first_mut().and_then(|layer| layer.bias.first_mut())
    {
        *bias = number as f32;
    }
}

/// Replaces the other model until `end`; gives how often.
async fn replace(
    deployer: &mut Deployer,
    digests: &mut (impl Iterator<Item = &Digest> + Send),
    pause: Duration,
    end: &CancellationToken,
) -> Result<usize, Error> {
    let mut count = 0;
    while !end.is_cancelled() {
        let Some(digest) = digests.next() else { break };
        deployer.deploy(OTHER, digest.clone()).await?;
        count += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = end.cancelled() => {}
        }
    }
    Ok(count)
}

async fn ask(lane: &Lane, options: &LoadingOptions) -> Result<Latencies, Error> {
    let pace = Pace::Open {
        rate: options.rate,
        arrivals: Arrivals::Poisson,
        max_outstanding: OUTSTANDING_MAX,
        seed: 0,
    };
    let duration = Duration::from_secs_f64(options.seconds);
    let report = lane.load(duration).run(pace, &CancellationToken::new()).await?;
    let figures = Percentiles::of(&report.latency);
    let figures = figures.filter(|_| report.failed.is_empty() && report.unsent == 0).ok_or_else(|| {
        let (failed, unsent) = (report.failed_total(), report.unsent);
        Error::Usage(format!("{failed} requests failed and {unsent} were never sent: ask for a lower rate"))
    })?;
    Ok(Latencies { p50: figures.p50, p99: figures.p99 })
}
