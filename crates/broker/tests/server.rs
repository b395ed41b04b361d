//! A real server: found, started, killed, restarted, stopped, and never left behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how the helpers of a test fail")]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leat_broker::{
    Binary, Broker, BrokerOptions, Error, Found, Note, PINNED_VERSION, Search, Source, find, find_binary,
};

async fn binary() -> Binary {
    find_binary(&Search::from_environment()).await.unwrap()
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn starts_on_a_free_port_and_stops() {
    let broker = Broker::start(&binary().await, &BrokerOptions::default()).await.unwrap();
    let port = broker.port();
    assert!(answers(port));
    assert_eq!(broker.url(), format!("nats://127.0.0.1:{port}"));
    broker.stop().await;
    assert!(!answers(port));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn collects_garbage_seldom() {
    let broker = Broker::start(&binary().await, &BrokerOptions::default()).await.unwrap();
    let environment = std::fs::read(format!("/proc/{}/environ", broker.process_id())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    let of =
        |name: &str| environment.split('\0').find_map(|variable| variable.strip_prefix(&format!("{name}=")));
    let names = ["GOGC", "GOMEMLIMIT"];
    let outside = names.map(|name| std::env::var(name).ok());
    let expected = match &outside {
        [None, None] => [Some("1000"), Some("1GiB")],
        named => named.each_ref().map(|value| value.as_deref()),
    };
    assert_eq!(names.map(of), expected);
}

#[tokio::test]
async fn runs_several_servers_side_by_side() {
    let binary = binary().await;
    let options = BrokerOptions::default();
    let (first, second) = tokio::join!(Broker::start(&binary, &options), Broker::start(&binary, &options));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.port(), second.port());
    assert!(answers(first.port()) && answers(second.port()));
}

#[tokio::test]
async fn restarts_on_the_same_port_and_store_after_a_crash() {
    let mut broker = Broker::start(&binary().await, &BrokerOptions::default()).await.unwrap();
    let (port, first_process) = (broker.port(), broker.process_id());
    broker.kill().await;
    assert!(broker.has_ended());
    assert!(!answers(port));
    broker.restart().await.unwrap();
    assert!(answers(port));
    assert_eq!(broker.port(), port);
    assert_ne!(broker.process_id(), first_process);
}

#[tokio::test]
async fn a_dropped_broker_is_gone() {
    let broker = Broker::start(&binary().await, &BrokerOptions::default()).await.unwrap();
    let port = broker.port();
    drop(broker);
    eventually("the server ends", || !answers(port));
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_the_log() {
    let binary = binary().await;
    let first = Broker::start(&binary, &BrokerOptions::default()).await.unwrap();
    let options = BrokerOptions { port: first.port(), ..BrokerOptions::default() };
    let error = Broker::start(&binary, &options).await.unwrap_err();
    assert!(matches!(&error, Error::NotAnswering { log_tail, .. } if log_tail.contains("in use")), "{error}");
}

#[tokio::test]
async fn a_named_server_that_does_not_exist_is_an_error_and_not_passed_over() {
    let search = Search { named: Some("/nonexistent/nats-server".into()), ..Search::from_environment() };
    let error = find_binary(&search).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/nats-server"), "{error}");
}

#[tokio::test]
async fn a_running_server_is_used_as_it_is() {
    let url = Some("nats://example:4222".to_owned());
    let source = find(url, &Search::from_environment(), |_| {}).await.unwrap();
    assert!(matches!(source, Source::External(url) if url == "nats://example:4222"));
}

#[cfg(unix)]
fn fake_server(folder: &std::path::Path, version: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("nats-server");
    std::fs::write(&path, format!("#!/bin/sh\necho 'nats-server: v{version}'\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[tokio::test]
async fn a_named_server_that_is_too_old_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let search = Search { named: Some(fake_server(folder.path(), "2.9.10")), ..Search::from_environment() };
    let text = find_binary(&search).await.unwrap_err().to_string();
    assert!(text.contains("2.9.10") && text.contains("2.10.0"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_old_installed_server_is_passed_over_and_a_new_one_taken() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fake_server(old.path(), "2.10.7");
    let expected = fake_server(new.path(), "2.11.4");
    let path = std::env::join_paths([old.path(), new.path()]).unwrap();
    let search = Search { named: None, path: Some(path), ..Search::from_environment() };
    let mut notes = Vec::new();
    let Source::Binary(found) = find(None, &search, |note| notes.push(note)).await.unwrap() else {
        panic!("no server was named");
    };
    assert_eq!((found.path, found.found), (expected, Found::Installed));
    let [Note::PassedOver { path, reason }] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(path.starts_with(old.path()), "{}", path.display());
    assert!(reason.contains("2.10.7") && reason.contains("2.10.23"), "{reason}");
}

#[tokio::test]
async fn nothing_found_and_fetching_off_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let search =
        Search { named: None, path: None, cache: cache.path().into(), fetch: false, pythons: Vec::new() };
    let text = find_binary(&search).await.unwrap_err().to_string();
    assert!(text.contains("NATS_SERVER_BIN") && text.contains(PINNED_VERSION), "{text}");
}

/// Not a test of its own: the victim of the next one, which runs it in a process of its own and kills that.
#[cfg(unix)]
#[tokio::test]
#[ignore = "the body of another process, which dies_with_its_parent starts and kills"]
async fn holds_a_broker_until_it_is_killed() {
    let broker = Broker::start(&binary().await, &BrokerOptions::default()).await.unwrap();
    println!("\nport {}", broker.port());
    std::future::pending::<()>().await;
}

#[cfg(unix)]
#[test]
fn dies_with_its_parent() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "holds_a_broker_until_it_is_killed"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.strip_prefix("port ")?.parse().ok()).unwrap();
    assert!(answers(port));
    // `Child::kill` is SIGKILL: the parent gets no chance to clean up.
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the server follows its parent", || !answers(port));
}

/// Many test processes start at once on an empty cache: one fetches, the others wait for its file.
#[cfg(unix)]
#[tokio::test]
async fn an_empty_cache_is_filled_once_however_many_ask() {
    use std::os::unix::fs::PermissionsExt;
    let cache = tempfile::tempdir().unwrap();
    let calls = cache.path().join("calls");
    let python = cache.path().join("counting-python");
    std::fs::write(&python, format!("#!/bin/sh\necho call >> '{}'\nexec python3 \"$@\"\n", calls.display()))
        .unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let search =
        Search { named: None, path: None, cache: cache.path().into(), fetch: true, pythons: vec![python] };
    let (first, second, third) =
        tokio::join!(find_binary(&search), find_binary(&search), find_binary(&search));
    for found in [first, second, third] {
        let found = found.unwrap();
        assert_eq!((found.found, found.version.as_str()), (Found::Fetched, PINNED_VERSION));
    }
    assert_eq!(find_binary(&search).await.unwrap().found, Found::Cached);
    assert_eq!(std::fs::read_to_string(calls).unwrap().lines().count(), 1);
}
