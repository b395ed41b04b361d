//! The other end of `/readyz`: what a container's health check runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::Error;

/// A report is a few reasons; longer ones are cut by refusing them.
const REPORT_BYTES_MAX: u64 = 64 * 1024;

/// Asks a service on this machine whether it is ready. An unspecified address (`0.0.0.0`, `::`), which a service may bind,
/// means the loopback one. Fails with the reasons when it is not ready and when nothing answers in time. It blocks.
pub fn probe(address: SocketAddr, deadline: Duration) -> Result<(), Error> {
    let address = reachable(address);
    let failed = |reason: String| Error::Probe { address, reason };
    let configuration = ureq::Agent::config_builder()
        .timeout_global(Some(deadline))
        .http_status_as_error(false)
        .proxy(None)
        .build();
    let agent: ureq::Agent = configuration.new_agent();
    let mut reply =
        agent.get(format!("http://{address}/readyz")).call().map_err(|error| failed(error.to_string()))?;
    if reply.status().is_success() {
        return Ok(());
    }
    let report = reply.body_mut().with_config().limit(REPORT_BYTES_MAX).read_to_string();
    Err(failed(format!("status {}: {}", reply.status().as_u16(), report.unwrap_or_default())))
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}
