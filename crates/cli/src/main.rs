//! The `leat` command.

use std::process::ExitCode;

use clap::Parser;
use leat_cli::Arguments;

fn main() -> ExitCode {
    leat_cli::run(Arguments::parse())
}
