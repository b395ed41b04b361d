use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

struct Running {
    address: SocketAddr,
    readiness: Readiness,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

async fn start() -> Running {
    let health = Health::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = health.address();
    let readiness = Readiness::default();
    let stop = CancellationToken::new();
    let metrics = Metrics::new(readiness.clone());
    let serving = tokio::spawn(health.serve(readiness.clone(), metrics, stop.clone()));
    Running { address, readiness, stop, serving }
}

async fn get_page(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: leat\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

async fn probe_it(address: SocketAddr) -> Result<(), Error> {
    tokio::task::spawn_blocking(move || probe(address, Duration::from_secs(10))).await.unwrap()
}

#[tokio::test]
async fn readiness_is_answered_with_reasons() {
    let running = start().await;
    running.readiness.set_not_ready("loading digits@3");
    let reply = get_page(running.address, "/readyz").await;
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    assert!(reply.ends_with(r#"{"ready":false,"reasons":{"service":"loading digits@3"}}"#), "{reply}");
    running.readiness.set_ready();
    let reply = get_page(running.address, "/readyz").await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.ends_with(r#"{"ready":true,"reasons":{}}"#), "{reply}");
}

#[tokio::test]
async fn liveness_does_not_depend_on_readiness() {
    let running = start().await;
    assert!(get_page(running.address, "/healthz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let running = start().await;
    let reply = get_page(running.address, "/metrics").await;
    assert!(
        reply.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{reply}"
    );
    assert!(reply.ends_with("# EOF\n"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_passes_on_readiness_and_the_reasons() {
    let running = start().await;
    let refused = probe_it(running.address).await.unwrap_err();
    assert!(refused.to_string().contains("starting"), "{refused}");
    running.readiness.set_ready();
    probe_it(running.address).await.unwrap();
    let wildcard = SocketAddr::from((Ipv4Addr::UNSPECIFIED, running.address.port()));
    probe_it(wildcard).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_a_stopped_service_fails() {
    let running = start().await;
    running.stop.cancel();
    running.serving.await.unwrap();
    assert!(matches!(probe_it(running.address).await, Err(Error::Probe { .. })));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let running = start().await;
    let taken = Health::bind(running.address).await.unwrap_err();
    assert!(taken.to_string().contains(&running.address.to_string()), "{taken}");
}

#[tokio::test]
async fn silent_connections_do_not_keep_others_out() {
    let running = start().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    let reply = get_page(running.address, "/healthz").await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}
