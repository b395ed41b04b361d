//! The gateway as its clients meet it: those of the protocols it speaks, and those that mean it ill.

mod aliases;
mod bombs;
mod clients;
mod encryption;
mod guarded;
mod hostile;
mod http;
mod http2;
mod keys;
mod large;
mod leaving;
mod passage;
mod splitting;
mod tracing;

use leat_cli::GatewayPorts;

use crate::town::Town;

/// A cluster with a gateway, two versions of a digits model, the first of them deployed with all live traffic and the second
/// with none of it.
async fn town() -> (Town, GatewayPorts) {
    let town = Town::with_gateway(1).await;
    let ports = town.cluster.gateway().expect("a gateway");
    (town, ports)
}
