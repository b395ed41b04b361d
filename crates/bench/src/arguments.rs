use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};

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
}

#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    /// Shapes to run, all when none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) shapes: Vec<String>,

    /// Rows in a batch.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 256], value_parser = at_least_one())]
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

    /// Time for each cell and contender.
    #[arg(long, default_value_t = 300, value_name = "MILLISECONDS")]
    pub(crate) budget: u64,

    /// Write every figure to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
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
