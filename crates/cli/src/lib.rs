//! The `leat` command: train, compress, deploy, predict and watch models over one NATS broker, or run a whole cluster on
//! this machine.
//!
//! Every command speaks to the services over the broker as any other client would; only `leat service` and what builds on
//! it (`up`, `demo`) run them. The library exists so that tests start the same clusters that people do.
//!
//! Reading order: [`Arguments`], [`run`], `commands` (one file per command), `session` (what commands share when they are
//! connected), [`Cluster`], `demo`.

mod arguments;
mod cluster;
mod commands;
mod demo;
mod error;
mod load;
mod output;
mod progress;
mod rows;
mod run;
mod session;
mod time;

pub use arguments::Arguments;
pub use cluster::{Cluster, ClusterOptions, GatewayPorts, ServiceKind};
pub use error::Error;
pub use load::{Load, LoadOptions, LoadReport};
pub use run::run;
