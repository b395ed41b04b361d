//! The benchmark of serving: one digits classifier behind NATS and HTTP, beside a plain echo and beside Python.
//!
//! Every contender is a process of its own on this machine, all get the same requests from the same load generator, and they take
//! turns in every round. Before anything is timed their answers are compared.
//!
//! Reading order: `lane` (who is asked how), `process`, `processors` and `stage` (what runs), `deployment`, `requests`, `agreement`, `turns` (the
//! measurement), `calmest`, `figures`, `targets`, `tables`, `echo`; `loading` (what loading one model does to another), `deep`, `overload` (what
//! becomes of requests when too many come), `scaling` (workers that come and go).

mod agreement;
mod calmest;
mod deep;
mod deployment;
mod echo;
mod figures;
mod lane;
mod loading;
mod overload;
mod process;
mod processors;
mod requests;
mod scaling;
mod stage;
mod tables;
mod targets;
mod turns;

pub(crate) use echo::echo;

use crate::arguments::{LoadingOptions, OverloadOptions, ScalingOptions, ServingOptions};
use crate::serving::figures::Run;
use crate::serving::processors::Apart;
use crate::serving::stage::Stage;
use crate::{Error, report};

/// Sets everything up, compares, measures, prints, and takes everything down, whatever happens.
pub(crate) fn run(options: &ServingOptions) -> Result<(), Error> {
    runtime(options.load_threads)?.block_on(async {
        let mut stage = Stage::open().await?;
        let outcome = tokio::select! {
            outcome = measure(&mut stage, options) => outcome,
            () = asked_to_stop() => Err(Error::Interrupted),
        };
        stage.close().await;
        let run = outcome?;
        report::say(&tables::of(&run))?;
        match &options.json {
            Some(path) => report::write(&run, path),
            None => Ok(()),
        }
    })
}

/// Measures what loading a model does to another one, prints it, and takes everything down, whatever happens.
pub(crate) fn loading(options: &LoadingOptions) -> Result<(), Error> {
    runtime(options.load_threads)?.block_on(async {
        let mut stage = Stage::open().await?;
        let outcome = tokio::select! {
            outcome = loading::measure(&mut stage, options) => outcome,
            () = asked_to_stop() => Err(Error::Interrupted),
        };
        stage.close().await;
        report::say(&outcome?)
    })
}

/// Measures what becomes of requests when too many come, prints it, and takes everything down, whatever happens.
pub(crate) fn overload(options: &OverloadOptions) -> Result<(), Error> {
    let apart = if options.together { None } else { Some(Apart::new()?) };
    runtime(1)?.block_on(async {
        let mut stage = Stage::open().await?.with_worker_apart(apart);
        let outcome = tokio::select! {
            outcome = overload::measure(&mut stage, options) => outcome,
            () = asked_to_stop() => Err(Error::Interrupted),
        };
        stage.close().await;
        report::say(&outcome?)
    })
}

/// Measures what workers that come and go do, prints it, and takes everything down, whatever happens.
pub(crate) fn scaling(options: &ScalingOptions) -> Result<(), Error> {
    runtime(1)?.block_on(async {
        let mut stage = Stage::open().await?.with_threads_per_batch(1);
        let outcome = tokio::select! {
            outcome = scaling::measure(&mut stage, options) => outcome,
            () = asked_to_stop() => Err(Error::Interrupted),
        };
        stage.close().await;
        report::say(&outcome?)
    })
}

async fn measure(stage: &mut Stage, options: &ServingOptions) -> Result<Run, Error> {
    let lanes = stage.raise(options).await?;
    agreement::check(&lanes).await?;
    let cells = turns::take(&lanes, options).await?;
    Ok(Run::new(options, cells))
}

/// What the load runs on. On one thread a request and its answer wake no other thread, which leaves most of the processors to those who are
/// measured.
///
/// # Errors
/// When the system gives no threads.
fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let made = builder.worker_threads(threads).enable_all().build();
    made.map_err(|cause| Error::Usage(format!("cannot start the asynchronous runtime: {cause}")))
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without signals only being killed ends it, and then its children end with it.
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            () = interrupted => {}
        }
        return;
    }
    interrupted.await;
}
