use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Takes machine-learning models from data to live predictions over one NATS broker.
#[derive(Debug, Parser)]
#[command(
    name = "leat",
    version,
    propagate_version = true,
    max_term_width = 120,
    after_help = "Examples:\n  leat demo\n  leat up --workers 2\n  leat train --name wine --data wine.csv --target cultivar"
)]
pub struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct GlobalOptions {
    /// The broker; commands that talk to a cluster use nats://127.0.0.1:4222 when it is not named.
    #[arg(long, global = true, env = "NATS_URL", value_name = "URL")]
    pub(crate) nats_url: Option<String>,
    /// The first token of every subject, for several clusters on one broker.
    #[arg(long, global = true, env = "LEAT_NATS__SUBJECT_PREFIX", default_value = "leat", hide = true)]
    pub(crate) prefix: String,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Tables and sentences for people.
    Text,
    /// One JSON document (or one per line for streams) for programs.
    Json,
}

/// The commands, in the order in which a model meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole loop on real data: train, compress, deploy, serve under load, monitor.
    Demo(commands::demo::Demo),
    /// Run a whole cluster on this machine until Ctrl-C.
    Up(commands::up::Up),
    /// Train a model on a CSV file.
    Train(commands::train::Train),
    /// Make a smaller, faster version of a model.
    Compress(commands::compress::Compress),
    /// Look at, compare and remove model versions.
    #[command(subcommand)]
    Models(commands::models::Models),
    /// Send live traffic to a version, all of it or a share.
    Deploy(commands::deploy::Deploy),
    /// Send all live traffic to a version.
    Promote(commands::deploy::Promote),
    /// Go back to the routes before the last change.
    Rollback(commands::deploy::Rollback),
    /// Stop serving a model.
    Undeploy(commands::deploy::Undeploy),
    /// Ask a deployed model for predictions.
    Predict(commands::predict::Predict),
    /// Measure how fast a deployed model answers, step by step.
    Bench(commands::bench::Bench),
    /// Look up the answer to a durable request.
    Result(commands::result::ResultOf),
    /// Look at messages that were given up, and send them again.
    #[command(subcommand)]
    Dead(commands::dead::Dead),
    /// Tell what the answer to an earlier request should have been.
    Label(commands::label::Label),
    /// Look at and cancel jobs.
    #[command(subcommand)]
    Jobs(commands::jobs::Jobs),
    /// Follow events, windows and alerts as they happen.
    Events(commands::events::Events),
    /// Show services, deployments and live figures.
    Status(commands::status::Status),
    /// Run one service in the foreground.
    Service(commands::service::Service),
    /// Ask a service's HTTP endpoint whether it is ready (for container health checks).
    Health(commands::health::Health),
}
