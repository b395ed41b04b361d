use std::net::SocketAddr;

use clap::Args;

use crate::Error;

/// Ask a service's HTTP endpoint whether it is ready.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat health 127.0.0.1:8080")]
pub(crate) struct Health {
    /// The address in the service's `http.bind` setting.
    address: SocketAddr,
}

pub(crate) async fn run(health: Health) -> Result<(), Error> {
    leat_service_runtime::probe(health.address).await?;
    Ok(())
}
