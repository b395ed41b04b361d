//! Health and metrics over HTTP, for orchestrators and Prometheus.

mod probe;
mod server;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use probe::probe;

use crate::{Error, Metrics, Readiness};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A bound port that answers three paths:
///
/// - `/healthz`: 200 as long as the process answers at all. Restart it when this fails.
/// - `/readyz`: 200 when the service takes work, 503 when not; the body is a [`crate::ReadinessReport`] in JSON.
/// - `/metrics`: the metrics as OpenMetrics text.
#[derive(Debug)]
pub struct Health {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Sources {
    readiness: Readiness,
    metrics: Metrics,
}

impl Health {
    /// Binds the port; port 0 takes a free one. Fails when the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is stopped.
    pub async fn serve(self, readiness: Readiness, metrics: Metrics, stop: CancellationToken) {
        let router = Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/metrics", get(measured))
            .with_state(Sources { readiness, metrics });
        stop.run_until_cancelled(server::serve(self.listener, router)).await;
    }
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn ready(State(sources): State<Sources>) -> Response {
    let report = sources.readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&report) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn measured(State(sources): State<Sources>) -> Response {
    match sources.metrics.encode() {
        Ok(body) => ([(header::CONTENT_TYPE, OPENMETRICS)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
