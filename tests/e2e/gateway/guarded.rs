//! A gateway of its own beside the cluster's, with other settings.

use std::process::{ExitStatus, Stdio};

use leat_test_harness::{PATIENCE, eventually};
use tokio::process::{Child, Command};

use super::http::get;
use crate::town::{Town, leat};

/// The process and its ports.
pub(super) struct Guarded {
    pub(super) http: u16,
    pub(super) grpc: u16,
    process: Child,
}

impl Guarded {
    /// Starts `leat service gateway` with settings from the environment.
    pub(super) async fn start(town: &Town, name: &str, settings: &[(&str, &str)]) -> Self {
        let ports = leat_cli::GatewayPorts { http: 0, grpc: 0 }.chosen().expect("free ports");
        let process = Command::new(leat())
            .args(["service", "gateway", "--name", name])
            .env("LEAT_NATS__URL", town.cluster.url())
            .env_remove("NATS_URL")
            .env("LEAT_GATEWAY__HTTP_BIND", format!("127.0.0.1:{}", ports.http))
            .env("LEAT_GATEWAY__GRPC_BIND", format!("127.0.0.1:{}", ports.grpc))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("leat runs");
        eventually("the gateway is open", || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", ports.http)).await.ok()
        })
        .await;
        Self { http: ports.http, grpc: ports.grpc, process }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// Waits until the process has ended.
    pub(super) async fn ended(mut self) -> ExitStatus {
        let ending = tokio::time::timeout(PATIENCE, self.process.wait());
        ending.await.expect("the gateway ends").expect("its status is known")
    }

    /// Waits until it takes requests, where it speaks without TLS.
    pub(super) async fn ready(&self) {
        let http = self.http;
        eventually("the gateway is ready", || async move {
            (get(http, "/v2/health/ready").await.status == 200).then_some(())
        })
        .await;
    }
}
