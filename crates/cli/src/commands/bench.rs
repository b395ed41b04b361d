//! Measures how fast a deployed model answers: one step after the other, in a closed or an open loop.

mod options;
mod outcome;
mod requests;
mod server;

use futures_util::FutureExt;
use leat_load::{Load, Pace, ServerTimes, StepReport};
use tokio_util::sync::CancellationToken;

pub(crate) use options::Bench;
use outcome::{Outcome, StepOutcome};
use requests::Wanted;
use server::Server;

use crate::arguments::{GlobalOptions, OutputFormat};
use crate::commands::up::asked_to_stop;
use crate::{Error, output};

pub(crate) async fn run(global: &GlobalOptions, bench: Bench) -> Result<(), Error> {
    let paces = bench.paces();
    let encoding = bench.encoding()?;
    let server = Server::reach(global, &bench).await?;
    let wanted = Wanted { rows: bench.rows(), encoding, seed: bench.seed };
    let requests = match bench.given_rows(&server.metadata)? {
        Some(rows) => wanted.of_rows(&rows, &server.metadata)?,
        None => wanted.random(&server.metadata)?,
    };
    let mut outcome = Outcome::new(&bench, encoding, &requests);
    let load = Load {
        target: server.target,
        requests: requests.into(),
        timeout: bench.timeout,
        warm_up: bench.warm_up,
        duration: bench.duration,
    };
    let stop = CancellationToken::new();
    let mut asked = Box::pin(asked_to_stop());
    // Polled once, it listens: before anything is said that somebody answers with Ctrl-C.
    let is_asked = (&mut asked).now_or_never().is_some();
    let watching = tokio::spawn(end_when_asked(asked, is_asked, stop.clone()));
    let mut paces = paces.into_iter();
    while let Some(pace) = paces.next()
        && !stop.is_cancelled()
    {
        output::say(&format!(
            "{}, {:?} after {:?} of warming up",
            outcome::describe(&pace),
            bench.duration,
            bench.warm_up
        ));
        let report = step(&load, pace, server.times.as_ref(), &stop).await?;
        outcome.steps.push(StepOutcome::of(&report, bench.expected_interval, server.times.as_ref()));
    }
    watching.abort();
    outcome.interrupted = stop.is_cancelled();
    match global.output {
        OutputFormat::Json => output::json(&outcome)?,
        OutputFormat::Text => outcome.print(),
    }
    outcome.verdict()
}

async fn step(
    load: &Load,
    pace: Pace,
    times: Option<&ServerTimes>,
    stop: &CancellationToken,
) -> Result<StepReport, Error> {
    if let Some(times) = times {
        times.take();
    }
    Ok(load.run(pace, stop).await?)
}

/// The first Ctrl-C ends the step that runs; a second one ends the program.
async fn end_when_asked(asked: impl Future<Output = ()>, is_asked: bool, stop: CancellationToken) {
    if !is_asked {
        asked.await;
    }
    stop.cancel();
    asked_to_stop().await;
    std::process::exit(130);
}
