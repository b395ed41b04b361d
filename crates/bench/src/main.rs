//! `leat-bench`: Leat beside its peers and beside what the machine can do.
//!
//! `leat-bench engine` runs multi-layer perceptrons on one thread; see `crates/bench/README.md` for the table and how it is made.
//! With the feature `peers` ONNX Runtime and tract run in the same process, in turns with us, so that whatever else the machine does
//! meets all alike.
//!
//! `leat-bench serving` puts a digits classifier behind a broker and a gateway, each in a process of its own, beside a plain NATS echo
//! and beside ONNX Runtime behind nats-py and FastAPI.
//!
//! Reading order: `arguments`; `engine`, `shapes`, `models`, `contender`, `peers`, `timing`, `gauge`, `roofline`, `report`; `serving`, `watch`.

mod arguments;
mod contender;
mod engine;
mod error;
mod gauge;
mod models;
#[cfg(feature = "peers")]
mod peers;
mod report;
mod roofline;
mod serving;
mod shapes;
mod timing;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::error::Error;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Engine(options) => engine::run(&options),
        Command::Serving(options) => serving::run(&options),
        Command::Loading(options) => serving::loading(&options),
        Command::Overload(options) => serving::overload(&options),
        Command::Scaling(options) => serving::scaling(&options),
        Command::Echo(options) => serving::echo(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::fail(&error),
    }
}
