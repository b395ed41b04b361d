use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use leat_contract::WorkerId;
use leat_service_runtime::{Error, Service as Runnable, load_settings, run_service};

use crate::arguments::GlobalOptions;
use crate::cluster::ServiceKind;
use crate::output;

/// Run one service in the foreground until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat service inference-worker --nats-url nats://broker:4222\n  \
                        LEAT_INFERENCE_WORKER__QUEUE_MAX=512 leat service inference-worker\n  \
                        leat service monitor --settings leat.toml")]
pub(crate) struct Service {
    /// Which one.
    #[arg(value_enum)]
    kind: ServiceKind,
    /// The name of this instance, unique among all workers; a random one when absent.
    #[arg(long)]
    name: Option<WorkerId>,
    /// A TOML file with settings; the environment overrides it.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Stop in order when standard input closes, as it does when the parent process ends.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs the service to its end; the last thing the process does.
pub(crate) fn run(global: &GlobalOptions, service: Service) -> ExitCode {
    if service.until_stdin_closes {
        stop_when_stdin_closes();
    }
    let ended = match service.kind {
        ServiceKind::Trainer => start(global, &service, leat_trainer::Trainer::new),
        ServiceKind::Compressor => start(global, &service, leat_compressor::Compressor::new),
        ServiceKind::InferenceWorker => start(global, &service, leat_inference_worker::InferenceWorker::new),
        ServiceKind::Monitor => start(global, &service, leat_monitor::Monitor::new),
        ServiceKind::Gateway => start(global, &service, leat_gateway::Gateway::new),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::fail(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn start<S: Runnable>(
    global: &GlobalOptions,
    service: &Service,
    build: impl FnOnce(S::Settings) -> S,
) -> Result<(), Error> {
    let mut settings = load_settings::<S::Settings>(S::NAME, service.settings.as_deref())?;
    if let Some(url) = &global.nats_url {
        settings.nats.url.clone_from(url);
    }
    if service.name.is_some() {
        settings.nats.instance.clone_from(&service.name);
    }
    let built = build(settings.service.clone());
    run_service(&settings, built)
}

/// The end of the input asks for the same as SIGTERM does.
fn stop_when_stdin_closes() {
    let watch = || {
        let mut ignored = [0_u8; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(count) if count > 0) {}
        terminate_self();
    };
    if let Err(error) = std::thread::Builder::new().name("leat-stdin".to_owned()).spawn(watch) {
        output::say(&format!("standard input cannot be watched: {error}"));
    }
}

#[cfg(unix)]
fn terminate_self() {
    let own = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::TERM) {
        output::say(&format!("cannot stop in order: {error}"));
        std::process::exit(1);
    }
}

#[cfg(not(unix))]
fn terminate_self() {
    std::process::exit(0);
}
