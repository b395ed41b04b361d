//! One service inside a process that may run others: start, run, stop in order.

use std::time::Duration;

use leat_contract::WorkerId;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span};

use super::Service;
use super::surroundings::{Identity, Surroundings};
use crate::stop::{Budget, Step, StopRequest};
use crate::tasks::panic_message;
use crate::{Error, Settings, Tasks};

/// Runs one service inside of this process, until `shutdown` is cancelled or the instance is told to drain.
///
/// Unlike [`super::run_service`] it leaves signals, logs and traces alone, which belong to the process. Stopping takes the
/// configured deadline at most, in this order: not ready; the service and its tasks finish; replies are flushed;
/// connections are drained and closed.
pub async fn serve<S: Service>(
    settings: &Settings<S::Settings>,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    settings.validate(S::NAME)?;
    let instance = settings.nats.instance_name(S::NAME)?;
    let stop = StopRequest::new(shutdown.child_token());
    run(settings, service, instance, &stop).await.result
}

/// How a service ended, and until when telemetry may still be sent.
pub(super) struct Ended {
    pub(super) result: Result<(), Error>,
    pub(super) telemetry_end: Instant,
}

pub(super) async fn run<S: Service>(
    settings: &Settings<S::Settings>,
    service: S,
    instance: WorkerId,
    stop: &StopRequest,
) -> Ended {
    settings.log_effective();
    let deadline = settings.shutdown.deadline();
    let traces = settings.telemetry.otlp_endpoint.is_some();
    let identity = Identity { service: S::NAME, instance, traces };
    let starting = Surroundings::start(identity, &settings.nats, &settings.http, stop);
    // Asked to stop while still waiting for the broker, there is nothing to finish.
    let (result, budget) = match stop.token().run_until_cancelled(starting).await {
        Some(Ok(surroundings)) => work(service, surroundings, deadline, stop).await,
        Some(Err(error)) => (Err(error), stop.budget(deadline)),
        None => (Ok(()), stop.budget(deadline)),
    };
    Ended { result, telemetry_end: budget.end_of(Step::Telemetry) }
}

/// Runs the service in its surroundings, then takes both down. Of several errors the first is the cause and is given.
async fn work<S: Service>(
    service: S,
    surroundings: Surroundings,
    deadline: Duration,
    stop: &StopRequest,
) -> (Result<(), Error>, Budget) {
    let context = surroundings.context.clone();
    let tasks = context.tasks.clone();
    info!(service = S::NAME, instance = %context.instance, "service started");
    let mut running = tokio::spawn(service.run(context).instrument(info_span!("service", name = S::NAME)));
    let early = tokio::select! {
        ended = &mut running => Some(judge(S::NAME, ended, stop.token().is_cancelled())),
        () = stop.token().cancelled() => None,
    };
    let mut errors: Vec<Error> =
        [tasks.take_failure(), surroundings.take_failure()].into_iter().flatten().collect();
    stop.ask(None);
    let budget = stop.budget(deadline);
    surroundings.withdraw();
    let service_end = match early {
        Some(result) => result,
        None => finish(S::NAME, running, budget).await,
    };
    errors.extend(service_end.err());
    errors.extend(finish_tasks(&tasks, budget).await.err());
    errors.extend(surroundings.end(budget).await.err());
    errors.iter().for_each(|error| error!(%error, "service did not end well"));
    info!(elapsed_ms = budget.elapsed().as_millis(), "service ended");
    (errors.into_iter().next().map_or(Ok(()), Err), budget)
}

/// Waits for a service that was asked to stop, for its share of the deadline, then cuts it off.
async fn finish<E: std::fmt::Display>(
    name: &'static str,
    mut running: JoinHandle<Result<(), E>>,
    budget: Budget,
) -> Result<(), Error> {
    match timeout_at(budget.end_of(Step::Service), &mut running).await {
        Ok(ended) => judge(name, ended, true),
        Err(_) => {
            running.abort();
            Err(budget.exceeded(Step::Service))
        }
    }
}

async fn finish_tasks(tasks: &Tasks, budget: Budget) -> Result<(), Error> {
    let ended = timeout_at(budget.end_of(Step::Service), tasks.ended()).await;
    tasks.abort();
    match (tasks.take_failure(), ended) {
        (Some(failure), _) => Err(failure),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) => Err(budget.exceeded(Step::Service)),
    }
}

fn judge<E: std::fmt::Display>(
    name: &'static str,
    ended: Result<Result<(), E>, JoinError>,
    was_asked: bool,
) -> Result<(), Error> {
    let reason = match ended {
        Ok(Ok(())) if was_asked => return Ok(()),
        Ok(Ok(())) => "it ended before shutdown".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panicked) => panic_message(panicked),
    };
    Err(Error::Service { name, reason })
}
