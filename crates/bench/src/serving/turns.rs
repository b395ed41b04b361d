//! The measurement: rounds in which everybody has a turn.

use std::time::Duration;

use leat_contract::Encoding;
use leat_load::{Pace, Percentiles, StepReport};
use tokio_util::sync::CancellationToken;

use super::figures::{Cell, Turn};
use super::lane::Lane;
use crate::arguments::ServingOptions;
use crate::watch::Watch;
use crate::{Error, report};

/// Measures every lane at every concurrency in every round; the order of the lanes is turned round after each.
///
/// # Errors
/// When somebody gives no answer, or a server is gone.
pub(super) async fn take(lanes: &[Lane], options: &ServingOptions) -> Result<Vec<Cell>, Error> {
    let mut cells: Vec<Cell> = lanes
        .iter()
        .flat_map(|lane| {
            options.concurrency.iter().map(|&concurrency| Cell::new(lane.server, lane.encoding, concurrency))
        })
        .collect();
    let duration = Duration::from_secs_f64(options.seconds);
    let watch = options.calm.then(Watch::start).transpose()?;
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    // Servers that are compared take their turns close together, before the machine has changed.
    order.sort_by_key(|&index| lanes.get(index).map(|lane| lane.encoding != Encoding::MessagePack));
    for round in 1..=options.rounds {
        report::say(&format!("round {round} of {}", options.rounds))?;
        for &concurrency in &options.concurrency {
            for &index in &order {
                let Some(lane) = lanes.get(index) else { continue };
                let turn = turn(lane, concurrency, duration, watch.as_ref()).await?;
                let cell = cells.iter_mut().find(|cell| cell.is(lane.server, lane.encoding, concurrency));
                cell.into_iter().for_each(|cell| cell.turns.push(turn));
            }
        }
        order.reverse();
    }
    Ok(cells)
}

async fn turn(
    lane: &Lane,
    concurrency: usize,
    duration: Duration,
    watch: Option<&Watch>,
) -> Result<Turn, Error> {
    let watched = watch.map(|watch| (watch, watch.begin()));
    let pace = Pace::Closed { concurrency };
    let report = lane.load(duration).run(pace, &CancellationToken::new()).await?;
    let disturbance = watched.map(|(watch, begun)| watch.since(&begun));
    let figures = Percentiles::of(&report.latency);
    let figures = figures.filter(|_| report.failed.is_empty()).ok_or_else(|| {
        Error::Usage(format!("{} at {concurrency}: requests failed: {}", lane.name(), failures(&report)))
    })?;
    let per_second = report.answered_per_second();
    Ok(Turn { per_second, p50_us: figures.p50, p99_us: figures.p99, disturbance })
}

fn failures(report: &StepReport) -> String {
    let each: Vec<String> = report.failed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    each.join(", ")
}
