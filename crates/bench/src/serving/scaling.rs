//! What workers that come and go do to requests and to how many are answered.
//!
//! Each worker is a process that computes on one thread, and the model takes so long that broker and load need little of the processors.
//! Requesters ask all the time: while workers start and stop, and in between, when it is counted how many requests are answered.

use std::time::Duration;

use leat_contract::ModelName;
use leat_load::{Load, Pace, Percentiles, StepReport};
use tokio_util::sync::CancellationToken;

use super::deep::{self, Asked};
use super::deployment::Deployer;
use super::lane::Lane;
use super::stage::Stage;
use crate::arguments::ScalingOptions;
use crate::{Error, report};

/// The first one is started with the stage.
const WORKERS: [&str; 4] = ["worker", "worker-2", "worker-3", "worker-4"];
/// How many there are, one after the other.
const STEPS: [usize; 4] = [1, 2, WORKERS.len(), 1];
const REQUESTERS: usize = 64;
/// Of each request.
const ROWS: usize = 16;
/// Longer than starting or stopping some workers takes.
const CHANGE_MAX: Duration = Duration::from_secs(120);

/// Measures and gives what there is to say.
///
/// # Errors
/// When a worker does not start, or requests get no answer at all.
pub(super) async fn measure(stage: &mut Stage, options: &ScalingOptions) -> Result<String, Error> {
    let (digits, mut deployer) = stage.raise_worker(options.leat.as_deref(), false).await?;
    let asked = Asked { layers: options.layers, rows: ROWS, deadline: None };
    let lane = deep::deploy(&digits, &mut deployer, asked).await?;
    let (mut running, mut one, mut lost) = (1, None, 0);
    for workers in STEPS {
        let changing = change(stage, &mut deployer, options, (running, workers));
        let while_changing = ask_during(&lane, changing).await?;
        running = workers;
        let steady = lane.load(Duration::from_secs_f64(options.seconds));
        let steady = steady.run(closed(), &CancellationToken::new()).await?;
        let rate = steady.answered_per_second();
        let one = *one.get_or_insert(rate);
        let failed = [failed(&while_changing), failed(&steady)];
        lost += failed.iter().sum::<u64>();
        report::say(&describe(workers, &steady, (rate / one, failed))?)?;
    }
    Ok(format!("requests that failed, all in all: {lost}"))
}

fn closed() -> Pace {
    Pace::Closed { concurrency: REQUESTERS }
}

/// Asks as long as something else takes, and a moment longer.
async fn ask_during(
    lane: &Lane,
    change: impl Future<Output = Result<(), Error>>,
) -> Result<StepReport, Error> {
    let load = Load { warm_up: Duration::ZERO, ..lane.load(2 * CHANGE_MAX) };
    let stop = CancellationToken::new();
    let changed = async {
        let late = || Error::Usage("a worker did not serve the model in time".to_owned());
        let changed = tokio::time::timeout(CHANGE_MAX, change).await.unwrap_or_else(|_| Err(late()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        changed
    };
    let (report, changed) = tokio::join!(load.run(closed(), &stop), changed);
    changed?;
    Ok(report?)
}

/// Starts or stops workers until there are so many; one that starts is waited for until it serves the model.
async fn change(
    stage: &mut Stage,
    deployer: &mut Deployer,
    options: &ScalingOptions,
    (from, to): (usize, usize),
) -> Result<(), Error> {
    let model: ModelName = deep::NAME.parse()?;
    for name in WORKERS.iter().take(to).skip(from) {
        stage.add_worker(options.leat.as_deref(), name)?;
        deployer.wait_for(name, &model).await?;
    }
    for name in WORKERS.iter().take(from).skip(to) {
        stage.stop_worker(name).await;
    }
    Ok(())
}

fn failed(report: &StepReport) -> u64 {
    report.failed.values().sum()
}

fn describe(
    workers: usize,
    steady: &StepReport,
    (ratio, [while_changing, failed]): (f64, [u64; 2]),
) -> Result<String, Error> {
    let latency = Percentiles::of(&steady.latency);
    let latency = latency.ok_or_else(|| Error::Usage("no request was answered".to_owned()))?;
    let (p50_ms, p99_ms) = (latency.p50 / 1000.0, latency.p99 / 1000.0);
    let per_second = steady.answered_per_second();
    Ok(format!(
        "{workers} workers: {per_second:.0} answered/s, {ratio:.2} of one, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, {failed} failed, \
         {while_changing} failed on the way there"
    ))
}
