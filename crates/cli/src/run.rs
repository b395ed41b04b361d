use std::process::ExitCode;

use leat_engine::Kernels;

use crate::arguments::{Arguments, Command};
use crate::commands;
use crate::{Error, output};

/// The environment variable that names the instruction set to compute with, instead of the best one.
const INSTRUCTION_SET: &str = "LEAT_CPU";

/// Runs a command to its end. The exit code is 0 only on success; what went wrong is said on standard error.
pub fn run(arguments: Arguments) -> ExitCode {
    if let Ok(name) = std::env::var(INSTRUCTION_SET)
        && let Err(reason) = Kernels::choose(&name)
    {
        return output::fail(&format!("{INSTRUCTION_SET}: {reason}"));
    }
    // A service builds its own runtimes, because it keeps its connections and its work apart.
    if let Command::Service(service) = arguments.command {
        return commands::service::run(&arguments.global, service);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return output::fail(&format!("cannot start the asynchronous runtime: {cause}")),
    };
    match runtime.block_on(dispatch(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(&error.to_string()),
    }
}

async fn dispatch(Arguments { global, command }: Arguments) -> Result<(), Error> {
    match command {
        Command::Demo(demo) => commands::demo::run(&global, demo).await,
        Command::Up(up) => commands::up::run(&global, up).await,
        Command::Train(train) => commands::train::run(&global, train).await,
        Command::Compress(compress) => commands::compress::run(&global, compress).await,
        Command::Models(models) => commands::models::run(&global, models).await,
        Command::Deploy(deploy) => commands::deploy::deploy(&global, deploy).await,
        Command::Promote(promote) => commands::deploy::promote(&global, promote).await,
        Command::Rollback(rollback) => commands::deploy::rollback(&global, rollback).await,
        Command::Undeploy(undeploy) => commands::deploy::undeploy(&global, undeploy).await,
        Command::Predict(predict) => commands::predict::run(&global, predict).await,
        Command::Bench(bench) => commands::bench::run(&global, bench).await,
        Command::Result(wanted) => commands::result::run(&global, wanted).await,
        Command::Dead(dead) => commands::dead::run(&global, dead).await,
        Command::Label(label) => commands::label::run(&global, label).await,
        Command::Jobs(jobs) => commands::jobs::run(&global, jobs).await,
        Command::Events(events) => commands::events::run(&global, events).await,
        Command::Status(status) => commands::status::run(&global, status).await,
        Command::Health(health) => commands::health::run(&health),
        // Handled before the runtime was built.
        Command::Service(_) => Ok(()),
    }
}
