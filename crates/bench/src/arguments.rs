use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// As many layers as a model may have.
pub(crate) const LAYERS_MAX: usize = 256;

/// Leat beside its peers and beside what the machine can do.
#[derive(Debug, Parser)]
#[command(name = "leat-bench", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run multi-layer perceptrons on one thread.
    Engine(EngineOptions),
    /// Serve a digits classifier over NATS and HTTP, beside a plain echo and beside what a Python user writes.
    Serving(ServingOptions),
    /// Ask one model of a worker while it loads another one again and again, and while it does not.
    Loading(LoadingOptions),
    /// Ask a worker for several times as much as it can answer.
    Overload(OverloadOptions),
    /// Ask a model all the time while workers come and go: one, two, four, one.
    Scaling(ScalingOptions),
    /// Give every NATS request back; `serving` starts it.
    #[command(hide = true)]
    Echo(EchoOptions),
}

#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    /// Shapes to run, all when none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) shapes: Vec<String>,

    /// Rows in a batch.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 256], value_parser = positive)]
    pub(crate) batches: Vec<usize>,

    /// Where `peers/models.py` put its models. Without them, weights are made here and no peer runs.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) models: Option<PathBuf>,

    /// The shared library of ONNX Runtime.
    #[cfg(feature = "peers")]
    #[arg(long, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub(crate) onnx_runtime: Option<PathBuf>,

    /// The instruction set to compute with, instead of the best one.
    #[arg(long, env = "LEAT_CPU", value_name = "NAME")]
    pub(crate) cpu: Option<String>,

    /// Run each model also on so many threads, which share what is large enough.
    #[arg(long, default_value = "1")]
    pub(crate) threads: NonZeroUsize,

    /// Time for each cell and contender.
    #[arg(long, default_value_t = 300, value_name = "MILLISECONDS")]
    pub(crate) budget: u64,

    /// Count calm rounds only, those in which nobody else slows the processor's core down, and wait at most so long for them in each cell;
    /// then the calmest count.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) calm: Option<f64>,

    /// Write every figure to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServingOptions {
    /// Who takes part; without an environment for the peers they are left out.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Server::ALL)]
    pub(crate) contenders: Vec<Server>,

    /// Requests outstanding at any time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256], value_parser = positive)]
    pub(crate) concurrency: Vec<usize>,

    /// Time for each contender, encoding and concurrency in a round.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Rounds, in which all take turns.
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub(crate) rounds: usize,

    /// NATS connections that the requesters share.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) connections: usize,

    /// Threads of the load generator.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) load_threads: usize,

    /// Watch meanwhile how disturbed the processors are, and count only the least disturbed quarter of the rounds, but at least 15: ask for
    /// `--rounds 60` or more.
    #[arg(long)]
    pub(crate) calm: bool,

    /// What `peers/environment` made.
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    pub(crate) environment: PathBuf,

    /// The folder of the peers' programs.
    #[arg(long, default_value = "crates/bench/peers", value_name = "FOLDER")]
    pub(crate) peers: PathBuf,

    /// The `leat` program, when it does not stand beside this one.
    #[arg(long, value_name = "FILE")]
    pub(crate) leat: Option<PathBuf>,

    /// Write every figure to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Who answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Server {
    /// A queue group of one that gives requests back: what NATS itself takes.
    Echo,
    /// One inference worker.
    Leat,
    /// nats-py and ONNX Runtime.
    NatsPy,
    /// The gateway before that worker.
    Gateway,
    /// FastAPI and ONNX Runtime.
    #[value(name = "fastapi")]
    #[serde(rename = "fastapi")]
    FastApi,
}

impl Server {
    pub(crate) const ALL: [Self; 5] = [Self::Echo, Self::Leat, Self::NatsPy, Self::Gateway, Self::FastApi];
}

#[derive(Debug, Args)]
pub(crate) struct LoadingOptions {
    /// Requests a second to the model that stays.
    #[arg(long, default_value_t = 2000.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// The shape of the model that is loaded.
    #[arg(long, default_value = "mnist", value_name = "NAME")]
    pub(crate) shape: String,

    /// How long the worker rests between two loads.
    #[arg(long, default_value_t = 100, value_name = "MILLISECONDS")]
    pub(crate) pause: u64,

    /// Let the worker keep models in a folder, and load each one once before: those that count are read from there.
    #[arg(long)]
    pub(crate) kept: bool,

    /// Time with and time without loads in a round.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Rounds of both.
    #[arg(long, default_value_t = 9, value_parser = positive)]
    pub(crate) rounds: usize,

    /// Threads of the load generator.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) load_threads: usize,

    /// Watch meanwhile how disturbed the processors are, and count only the least disturbed quarter of the rounds, but at least 15: ask for
    /// `--rounds 60` or more.
    #[arg(long)]
    pub(crate) calm: bool,

    /// The `leat` program, when it does not stand beside this one.
    #[arg(long, value_name = "FILE")]
    pub(crate) leat: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OverloadOptions {
    /// How many times as many requests come as were answered at the most.
    #[arg(long, default_value_t = 3.0, value_parser = factor)]
    pub(crate) factor: f64,

    /// Layers of the model, each of 256 x 256 multiplications for a row.
    #[arg(long, default_value_t = 240, value_parser = layers)]
    pub(crate) layers: usize,

    /// Time for each part of a round.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Rounds.
    #[arg(long, default_value_t = 3, value_parser = positive)]
    pub(crate) rounds: usize,

    /// Let broker and load share the worker's processors, instead of leaving it the last one for itself.
    #[arg(long)]
    pub(crate) together: bool,

    /// The `leat` program, when it does not stand beside this one.
    #[arg(long, value_name = "FILE")]
    pub(crate) leat: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ScalingOptions {
    /// Layers of the model, each of 256 x 256 multiplications for a row.
    #[arg(long, default_value_t = 240, value_parser = layers)]
    pub(crate) layers: usize,

    /// Time for each number of workers.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// The `leat` program, when it does not stand beside this one.
    #[arg(long, value_name = "FILE")]
    pub(crate) leat: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EchoOptions {
    pub(crate) url: String,
    pub(crate) subject: String,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is no whole number from 1")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=1e6).contains(&rate) => Ok(rate),
        _ => Err(format!("{text:?} is no number of requests a second from 1 to 1000000")),
    }
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(factor),
        _ => Err(format!("{text:?} is no number from 1 to 100")),
    }
}

fn layers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(layers) if (1..=LAYERS_MAX).contains(&layers) => Ok(layers),
        _ => Err(format!("{text:?} is no number of layers from 1 to {LAYERS_MAX}")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{text:?} is no number of seconds from 0.05 to 3600")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_without_rows_are_refused() {
        let parse = |batches: &str| Arguments::try_parse_from(["leat-bench", "engine", "--batches", batches]);
        assert!(parse("1,256").is_ok());
        assert!(parse("8,0").is_err());
    }
}
