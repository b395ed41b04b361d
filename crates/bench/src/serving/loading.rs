//! What loading a model does to another one of the same worker.
//!
//! Requests come at a fixed rate, and a latency counts from the moment at which its request should have been sent. Each round has a time
//! in which another model is replaced again and again, each time by one that the worker no longer has in memory, between two times without:
//! what disturbs the processors for longer than a moment is then in both.

use std::time::Duration;

use leat_contract::Digest;
use leat_load::{Arrivals, Pace, Percentiles};
use leat_model::{Body, Model};
use tokio_util::sync::CancellationToken;

use super::calmest::{Sample, of_calmest};
use super::deployment::Deployer;
use super::lane::Lane;
use super::stage::Stage;
use crate::arguments::LoadingOptions;
use crate::watch::{Disturbance, Watch};
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
    /// How disturbed the processors were meanwhile; none when nobody watched.
    disturbance: Option<Disturbance>,
}

/// Measures and gives what there is to say.
///
/// # Errors
/// When the worker does not start, or a request fails.
pub(super) async fn measure(stage: &mut Stage, options: &LoadingOptions) -> Result<String, Error> {
    let (lane, mut deployer) = stage.raise_worker(options.leat.as_deref(), options.kept).await?;
    let digests = store(&deployer, &options.shape).await?;
    if options.kept {
        for digest in &digests {
            deployer.deploy(OTHER, digest.clone()).await?;
        }
        stage.wait_until_kept(&digests).await?;
    }
    let mut others = digests.iter().cycle();
    let watch = options.calm.then(Watch::start).transpose()?;
    let watch = watch.as_ref();
    let (mut quiet, mut loading, mut loads) = (vec![ask(&lane, options, watch).await?], Vec::new(), 0);
    for round in 1..=options.rounds {
        let end = CancellationToken::new();
        let replacing = replace(&mut deployer, &mut others, Duration::from_millis(options.pause), &end);
        let asking = async {
            let asked = ask(&lane, options, watch).await;
            end.cancel();
            asked
        };
        let (meanwhile, replaced) = tokio::join!(asking, replacing);
        let meanwhile = meanwhile?;
        loads += replaced?;
        let without = ask(&lane, options, watch).await?;
        report::say(&format!(
            "round {round} of {}: p50 {:.0} and {:.0} µs, p99 {:.0} and {:.0} µs",
            options.rounds, without.p50, meanwhile.p50, without.p99, meanwhile.p99
        ))?;
        quiet.push(without);
        loading.push(meanwhile);
    }
    let quiet: Vec<_> = quiet.windows(2).map(between).collect();
    let pairs = quiet.iter().zip(&loading);
    // Both times of a round count or none, so that all medians are of the same rounds.
    let middle = |of: &dyn Fn(&Latencies, &Latencies) -> f64| {
        let sample = |(quiet, loading): (&Latencies, &Latencies)| {
            let both = quiet.disturbance.zip(loading.disturbance);
            // Loading is one of those who make readings slow, and must not choose the rounds in which it did least.
            let disturbance =
                both.map(|(quiet, loading)| Disturbance { slow: quiet.slow, ..quiet.and(loading) });
            Sample { value: of(quiet, loading), disturbance }
        };
        of_calmest(pairs.clone().map(sample).collect())
    };
    let p99 = middle(&|quiet, loading| loading.p99 / quiet.p99);
    let counted = p99.disturbance.map(|_| format!("{}:\n", p99.basis()));
    Ok(format!(
        "{} requests/s, another model ({}) loaded {loads} times:\n\
         {}p50 {:.0} µs without loading, {:.0} µs with it, {:.2} times as long\n\
         p99 {:.0} µs without loading, {:.0} µs with it, {:.2} times as long",
        options.rate,
        shapes::named(&options.shape)?.describe(),
        counted.unwrap_or_default(),
        middle(&|quiet, _| quiet.p50).value,
        middle(&|_, loading| loading.p50).value,
        middle(&|quiet, loading| loading.p50 / quiet.p50).value,
        middle(&|quiet, _| quiet.p99).value,
        middle(&|_, loading| loading.p99).value,
        p99.value,
    ))
}

/// Two times without loading, as if they had been one at the time between them.
fn between(both: &[Latencies]) -> Latencies {
    let mean = |of: fn(&Latencies) -> f64| both.iter().map(of).sum::<f64>() / both.len() as f64;
    let disturbance = both.iter().map(|one| one.disturbance).reduce(|one, other| Some(one?.and(other?)));
    Latencies { p50: mean(|one| one.p50), p99: mean(|one| one.p99), disturbance: disturbance.flatten() }
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

/// Replaces the other model until `end`; gives how often before it.
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
        // The last one may have ended after the requests.
        count += usize::from(!end.is_cancelled());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = end.cancelled() => {}
        }
    }
    Ok(count)
}

async fn ask(lane: &Lane, options: &LoadingOptions, watch: Option<&Watch>) -> Result<Latencies, Error> {
    let pace = Pace::Open {
        rate: options.rate,
        arrivals: Arrivals::Poisson,
        max_outstanding: OUTSTANDING_MAX,
        seed: 0,
    };
    let duration = Duration::from_secs_f64(options.seconds);
    let watched = watch.map(|watch| (watch, watch.begin()));
    let report = lane.load(duration).run(pace, &CancellationToken::new()).await?;
    let disturbance = watched.map(|(watch, begun)| watch.since(&begun));
    let figures = Percentiles::of(&report.latency);
    let figures = figures.filter(|_| report.failed.is_empty() && report.unsent == 0).ok_or_else(|| {
        let (failed, unsent) = (report.failed_total(), report.unsent);
        Error::Usage(format!("{failed} requests failed and {unsent} were never sent: ask for a lower rate"))
    })?;
    Ok(Latencies { p50: figures.p50, p99: figures.p99, disturbance })
}
