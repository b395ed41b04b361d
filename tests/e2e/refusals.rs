//! Brokers that Leat does not work with, and parents that die.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::town::{Town, connect, leat, run};

#[tokio::test(flavor = "multi_thread")]
async fn an_old_broker_is_refused_with_both_versions() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let old = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let info = format!(
                "INFO {{\"server_id\":\"old\",\"server_name\":\"old\",\"version\":\"2.9.10\",\"go\":\"go1.19\",\
                 \"host\":\"127.0.0.1\",\"port\":{port},\"headers\":true,\"max_payload\":1048576,\"proto\":1,\
                 \"jetstream\":true,\"client_id\":1}}\r\n"
            );
            tokio::spawn(async move {
                let (reader, mut writer) = stream.split();
                writer.write_all(info.as_bytes()).await.ok();
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        writer.write_all(b"PONG\r\n").await.ok();
                    }
                }
            });
        }
    });
    let output = run(&format!("nats://127.0.0.1:{port}"), &["models", "ls"]).await;
    old.abort();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("2.9.10") && stderr.contains("2.10"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cluster_on_one_broker_is_refused_before_it_takes_over_names() {
    let town = Town::with_workers(1).await;
    let folder = town.path("second");
    let arguments = [
        "up",
        "--workers",
        "1",
        "--metrics-port",
        "0",
        "--http-port",
        "0",
        "--grpc-port",
        "0",
        "--data-dir",
        folder.to_str().expect("a path"),
    ];
    let output = town.leat(&arguments).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("trainer-1 runs on") && stderr.contains("stop that cluster first"), "{stderr}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_killed_cluster() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut up = Command::new(leat())
        .args([
            "up",
            "--workers",
            "1",
            "--port",
            "0",
            "--metrics-port",
            "0",
            "--http-port",
            "0",
            "--grpc-port",
            "0",
            "--data-dir",
        ])
        .arg(folder.path())
        .env_remove("NATS_URL")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("leat runs");
    let mut lines = BufReader::new(up.stderr.take().expect("a pipe")).lines();
    let mut url = None;
    while let Some(line) = lines.next_line().await.expect("readable") {
        if let Some(place) = line.find("nats://") {
            url = line[place..].split_whitespace().next().map(str::to_owned);
        }
        if line.contains("The cluster is up") {
            break;
        }
    }
    let url = url.expect("the address is said");
    let connection = connect(&url).await;
    drop(connection);
    up.kill().await.expect("killed");
    leat_test_harness::eventually("the broker is gone", || async {
        let address = url.trim_start_matches("nats://").to_owned();
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    let folder_name = folder.path().to_string_lossy().into_owned();
    leat_test_harness::within(Duration::from_secs(60), "every process is gone", || {
        std::future::ready(processes_with(&folder_name).is_empty().then_some(()))
    })
    .await;
}

/// Processes whose command line or open log names the folder.
#[cfg(unix)]
fn processes_with(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let has_it = |entry: &std::fs::DirEntry| {
        let log = std::fs::read_link(entry.path().join("fd/2")).unwrap_or_default();
        let arguments = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let is_us = entry.file_name().to_string_lossy() == std::process::id().to_string();
        !is_us && (log.to_string_lossy().contains(text) || arguments.contains(text))
    };
    entries.filter(has_it).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
