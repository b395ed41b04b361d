//! One service as a process.

use std::time::Duration;

use leat_contract::WorkerId;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Service;
use super::embedded::{self, Ended};
use crate::signals::{self, Signals};
use crate::stop::StopRequest;
use crate::{Error, Settings, Telemetry};

/// Threads that handle messages, at most. They only wait and hand over; bytes move on the threads of the connections and
/// computation belongs to the services' own threads.
const THREADS_MAX: usize = 4;
/// Time for spans to leave when the deadline has none left.
const TELEMETRY_MIN: Duration = Duration::from_millis(200);

/// Runs one service as this process, until it is told to stop; the last thing `main` does.
///
/// It sets up logs and traces, builds the async runtime, stops at SIGTERM or SIGINT and exits at the second one with code
/// 130. The error's [`Error::exit_code`] says how the process should end.
pub fn run_service<S: Service>(settings: &Settings<S::Settings>, service: S) -> Result<(), Error> {
    settings.validate(S::NAME)?;
    let instance = settings.nats.instance_name(S::NAME)?;
    let telemetry = Telemetry::init(S::NAME, instance.as_str(), &settings.telemetry)?;
    let ended = run(settings, service, instance);
    let (result, telemetry_end) = match ended {
        Ok(ended) => (ended.result, ended.telemetry_end),
        Err(error) => (Err(error), Instant::now()),
    };
    match &result {
        Ok(()) => info!("stopped"),
        Err(error) => error!(%error, exit_code = error.exit_code(), "stopped with an error"),
    }
    let left = telemetry_end.saturating_duration_since(Instant::now()).max(TELEMETRY_MIN);
    if let Err(error) = telemetry.shutdown(left) {
        warn!(%error, "traces are incomplete");
    }
    result
}

fn run<S: Service>(settings: &Settings<S::Settings>, service: S, instance: WorkerId) -> Result<Ended, Error> {
    let runtime = runtime()?;
    let stop = StopRequest::new(CancellationToken::new());
    let catching = runtime.block_on(async { Signals::new() });
    let signals = catching.map_err(|source| Error::System { what: "signal handlers", source })?;
    runtime.spawn(signals::watch(signals, stop.token().clone()));
    let ended = runtime.block_on(embedded::run(settings, service, instance, &stop));
    // A task that blocks must not keep the process: everything that had to end has ended, or had its time.
    runtime.shutdown_background();
    Ok(ended)
}

/// The runtime that handles messages of one service.
fn runtime() -> Result<Runtime, Error> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(processors.min(THREADS_MAX))
        .thread_name("leat-runtime")
        .enable_all()
        .build()
        .map_err(|source| Error::System { what: "the threads of the runtime", source })
}
