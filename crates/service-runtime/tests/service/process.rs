//! A service as a process: signals, exit codes, logs and traces.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leat_broker::{Search, find_binary};
use leat_service_runtime::exit_code;
use leat_test_harness::Collector;
use rustix::process::Signal;

use crate::broker::{self, PATIENCE, client, eventually, subjects};
use crate::child::ServiceProcess;
use crate::echo::model;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_stop_in_order() {
    let broker = broker::start().await;
    let client = client(&broker.url()).await;
    for signal in [Signal::TERM, Signal::INT] {
        let process = ServiceProcess::start(&[("NATS_URL", &broker.url())]);
        process.is_ready(&client).await;
        process.signal(signal);
        let (code, log) = process.ended().await;
        assert_eq!(code, 0, "{log}");
        assert!(log.contains("stopping") && log.contains("stopped"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_exits_at_once_with_130() {
    let broker = broker::start().await;
    let client = client(&broker.url()).await;
    let process = ServiceProcess::start(&[("NATS_URL", &broker.url()), ("LEAT_ECHO__MISBEHAVIOUR", "deaf")]);
    process.is_ready(&client).await;
    process.signal(Signal::TERM);
    process.has_logged("stopping").await;
    process.signal(Signal::INT);
    let (code, log) = process.ended().await;
    assert_eq!(code, i32::from(exit_code::INTERRUPTED), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_stop_ends_at_the_deadline() {
    let broker = broker::start().await;
    let client = client(&broker.url()).await;
    let process = ServiceProcess::start(&[
        ("NATS_URL", &broker.url()),
        ("LEAT_ECHO__MISBEHAVIOUR", "deaf"),
        ("LEAT_SHUTDOWN__DEADLINE_MS", "500"),
    ]);
    process.is_ready(&client).await;
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, i32::from(exit_code::INCOMPLETE), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_before_the_process_ends() {
    let broker = broker::start().await;
    let client = client(&broker.url()).await;
    let collector = Collector::start();
    let process = ServiceProcess::start(&[
        ("NATS_URL", &broker.url()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
    ]);
    process.is_ready(&client).await;
    client.request(subjects().infer(&model()), "traced", PATIENCE).await.unwrap();
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, 0, "{log}");
    let mut names = Vec::new();
    let mut service_names = Vec::new();
    while let Ok(received) = collector.received.recv_timeout(Duration::from_millis(100)) {
        assert_eq!(received.request_line.trim_end(), "POST /v1/traces HTTP/1.1");
        for resource_spans in received.spans.resource_spans {
            let attributes = resource_spans.resource.unwrap().attributes;
            service_names.extend(attributes.into_iter().filter(|attribute| attribute.key == "service.name"));
            names.extend(
                resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| span.name),
            );
        }
    }
    assert!(names.iter().any(|name| name == "answer"), "{names:?}");
    let service_name = format!("{:?}", service_names.first());
    assert!(service_name.contains("leat-echo"), "{service_name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_can_be_json_and_show_settings_without_secrets() {
    let broker = broker::start().await;
    let url = broker.url().replace("nats://", "nats://me:hidden@");
    let client = client(&broker.url()).await;
    let process = ServiceProcess::start(&[("LEAT_NATS__URL", &url), ("LEAT_TELEMETRY__LOG", "json")]);
    process.is_ready(&client).await;
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, 0, "{log}");
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown = lines.iter().find(|line| line["message"] == "settings in force").unwrap();
    assert!(shown["settings"].as_str().unwrap().contains("[redacted]@127.0.0.1"), "{shown}");
    assert!(!log.contains("hidden"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_end_the_process_before_it_connects() {
    let process = ServiceProcess::start(&[("LEAT_NATS__URI", "nats://127.0.0.1:1")]);
    let (code, log) = process.ended().await;
    assert_eq!(code, i32::from(exit_code::SETTINGS), "{log}");
    assert!(log.contains("uri"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_end_the_process() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _guarded = Guarded::start(port).await;
    let url = format!("nats://127.0.0.1:{port}");
    let process = ServiceProcess::start(&[("NATS_URL", &url), ("LEAT_NATS__TOKEN", "wrong")]);
    let (code, log) = process.ended().await;
    assert_eq!(code, i32::from(exit_code::REFUSED), "{log}");
    assert!(!log.contains("wrong"), "{log}");
}

/// A broker that asks for a token.
struct Guarded(Child);

impl Guarded {
    async fn start(port: u16) -> Self {
        let binary = find_binary(&Search::from_environment()).await.unwrap();
        let child = Command::new(binary.path)
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "--auth", "right"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let guarded = Self(child);
        eventually("a broker that listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        guarded
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
