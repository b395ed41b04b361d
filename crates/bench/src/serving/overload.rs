//! What becomes of requests when several times as many come as a worker can answer.
//!
//! Each round asks first for as much as is answered, by requesters that wait for their answers, and then for too much, at a fixed rate,
//! whatever becomes of it. Goodput is what gets a prediction before its deadline; the worker keeps the deadline, so that is what is
//! answered. The worker has a processor of its own: sending and carrying requests is work as well, and on one that it shares the worker would
//! have the less the more requests come.

use std::time::Duration;

use leat_load::{Arrivals, Load, Pace, Percentiles, StepReport};
use tokio_util::sync::CancellationToken;

use super::deep::{self, Asked};
use super::lane::Lane;
use super::stage::Stage;
use crate::arguments::OverloadOptions;
use crate::timing::median;
use crate::{Error, report};

const DEADLINE: Duration = Duration::from_millis(250);
/// Enough to keep the worker busy, few enough to be answered before their deadlines.
const REQUESTERS: usize = 128;
/// More than are answered or refused late at any of the rates that a machine can send.
const OUTSTANDING_MAX: usize = 16_384;

/// What the parts of a round came to.
struct Round {
    most: StepReport,
    offered: StepReport,
}

/// Measures and gives what there is to say.
///
/// # Errors
/// When the worker does not start, or requests get no answer at all.
pub(super) async fn measure(stage: &mut Stage, options: &OverloadOptions) -> Result<String, Error> {
    let (digits, mut deployer) = stage.raise_worker(options.leat.as_deref(), false).await?;
    let asked = Asked { layers: options.layers, rows: 1, deadline: Some(DEADLINE) };
    let lane = deep::deploy(&digits, &mut deployer, asked).await?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = Round::take(&lane, options).await?;
        report::say(&format!("round {number} of {}:\n{}", options.rounds, round.describe()?))?;
        rounds.push(round);
    }
    let goodput = |round: &Round| round.offered.answered_per_second() / round.most.answered_per_second();
    Ok(format!(
        "goodput when {} times as much is asked for: {:.1} % of the most, the median of {} rounds",
        options.factor,
        100.0 * median(rounds.iter().map(goodput).collect()),
        rounds.len(),
    ))
}

impl Round {
    async fn take(lane: &Lane, options: &OverloadOptions) -> Result<Self, Error> {
        let duration = Duration::from_secs_f64(options.seconds);
        let ask = |lane: &Lane, pace| {
            let load = Load { timeout: 4 * DEADLINE, ..lane.load(duration) };
            async move { load.run(pace, &CancellationToken::new()).await }
        };
        let closed = Pace::Closed { concurrency: REQUESTERS };
        let open = |rate| Pace::Open {
            rate,
            arrivals: Arrivals::Poisson,
            max_outstanding: OUTSTANDING_MAX,
            seed: 0,
        };
        let most = ask(lane, closed).await?;
        let rate = most.answered_per_second();
        let offered = ask(lane, open(options.factor * rate)).await?;
        Ok(Self { most, offered })
    }

    fn describe(&self) -> Result<String, Error> {
        let most = describe("as many as are answered", &self.most)?;
        let offered = describe("too many", &self.offered)?;
        Ok(format!("{most}\n{offered}"))
    }
}

fn describe(name: &str, report: &StepReport) -> Result<String, Error> {
    let latency = Percentiles::of(&report.latency);
    let latency = latency.ok_or_else(|| Error::Usage(format!("{name}: no request was answered")))?;
    let others = report.failed.iter().map(|(reason, count)| format!(", {count} {reason}"));
    let unsent = if report.unsent > 0 { format!(", {} never sent", report.unsent) } else { String::new() };
    let others: String = others.chain([unsent]).collect();
    let (p50_ms, p99_ms) = (latency.p50 / 1000.0, latency.p99 / 1000.0);
    let per_second = report.answered_per_second();
    Ok(format!("  {name}: {per_second:.0} answered/s, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms{others}"))
}
