use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::Error;

const DEADLINE: Duration = Duration::from_secs(2);

/// Ask a service's HTTP endpoint whether it is ready.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat health 127.0.0.1:8080")]
pub(crate) struct Health {
    /// The address in the service's `http.bind` setting.
    address: SocketAddr,
}

pub(crate) fn run(health: &Health) -> Result<(), Error> {
    Ok(leat_service_runtime::probe(health.address, DEADLINE)?)
}
