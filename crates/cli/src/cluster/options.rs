use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use clap::ValueEnum;
use leat_contract::{Subjects, WorkerId};

use crate::Error;

/// The services that `leat service` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum ServiceKind {
    /// Turns training jobs into model versions.
    Trainer,
    /// Turns compression jobs into smaller model versions.
    Compressor,
    /// Loads deployed models and answers inference requests.
    InferenceWorker,
    /// Merges telemetry and labels into windows, alerts and metrics.
    Monitor,
    /// Takes HTTP and gRPC onto the subjects of inference.
    Gateway,
}

impl ServiceKind {
    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trainer => "trainer",
            Self::Compressor => "compressor",
            Self::InferenceWorker => "inference-worker",
            Self::Monitor => "monitor",
            Self::Gateway => "gateway",
        }
    }
}

/// The gateway's ports on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayPorts {
    /// For HTTP.
    pub http: u16,
    /// For gRPC.
    pub grpc: u16,
}

impl GatewayPorts {
    /// The same with a free port in place of 0.
    ///
    /// # Errors
    /// When the system has none.
    pub fn chosen(self) -> Result<Self, Error> {
        // Each is held until both are known: a port that was let go may be given out again.
        let (http, _http) = chosen(self.http)?;
        let (grpc, _grpc) = chosen(self.grpc)?;
        Ok(Self { http, grpc })
    }
}

/// A port, and what holds it when it is a free one in place of 0. Whoever takes it after it is let go and before the gateway does makes the
/// gateway fail by name.
fn chosen(port: u16) -> Result<(u16, Option<TcpListener>), Error> {
    if port != 0 {
        return Ok((port, None));
    }
    let none = |error| Error::Usage(format!("there is no free port on 127.0.0.1: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(none)?;
    Ok((listener.local_addr().map_err(none)?.port(), Some(listener)))
}

/// What a cluster consists of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The `leat` executable that runs the services.
    pub leat: PathBuf,
    /// Inference workers to start.
    pub workers: u16,
    /// The broker's port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The port for the monitor's metrics on 127.0.0.1; none leaves them off.
    pub metrics_port: Option<u16>,
    /// The gateway's ports; 0 takes a free one, and none starts no gateway.
    pub gateway: Option<GatewayPorts>,
    /// Where streams, objects and logs are kept.
    pub data_dir: PathBuf,
    /// A broker that runs already; then none is started.
    pub external_url: Option<String>,
    /// The subjects to use.
    pub subjects: Subjects,
}

impl ClusterOptions {
    /// Where each process logs.
    pub fn log_dir(&self) -> PathBuf {
        self.data_dir.join("logs")
    }

    /// Each service to start and the name of its instance.
    pub(super) fn services(&self) -> Result<Vec<(ServiceKind, WorkerId)>, Error> {
        let mut services = Vec::new();
        for (kind, name) in [
            (ServiceKind::Trainer, "trainer-1"),
            (ServiceKind::Compressor, "compressor-1"),
            (ServiceKind::Monitor, "monitor-1"),
        ] {
            services.push((kind, name.parse()?));
        }
        if self.gateway.is_some() {
            services.push((ServiceKind::Gateway, "gateway-1".parse()?));
        }
        for number in 1..=self.workers {
            services.push((ServiceKind::InferenceWorker, format!("worker-{number}").parse()?));
        }
        Ok(services)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_two_and_given_ones_stay() {
        for _ in 0..200 {
            let ports = GatewayPorts { http: 0, grpc: 0 }.chosen().unwrap();
            assert!(ports.http != ports.grpc && ports.http != 0, "{ports:?}");
        }
        let given = GatewayPorts { http: 7001, grpc: 7002 };
        assert_eq!(given.chosen().unwrap(), given);
    }
}
