//! Who may ask, how often and how slowly.

use std::time::Duration;

use leat_test_harness::eventually;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::clients::python;
use super::guarded::Guarded;
use super::http::{Reply, exchange, get, send};
use super::town;
use crate::town::digits_path;

fn digest(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rates_and_rights_are_kept() {
    let (town, _) = town().await;
    let keys = town.path("keys.json");
    let list = json!([
        { "name": "reader", "sha256": digest("read"), "requests_per_second": 0.01, "burst": 3 },
        { "name": "operator", "sha256": digest("operate"), "manage": true },
    ]);
    std::fs::write(&keys, list.to_string()).expect("written");
    let path = keys.to_string_lossy().into_owned();
    let gateway = Guarded::start(&town, "guarded", &[("LEAT_GATEWAY__KEYS_FILE", &path)]).await;
    gateway.ready().await;
    let ask = async |request: &str, key: Option<&str>| {
        let value = key.map(|key| format!("Bearer {key}")).unwrap_or_default();
        let headers: Vec<(&str, &str)> = key.map(|_| ("authorization", value.as_str())).into_iter().collect();
        send(gateway.http, request, &headers, b"").await
    };
    assert_eq!(ask("GET /v2/health/ready", None).await.status, 200);
    let refused = ask("GET /v2/models/digits", None).await;
    assert_eq!((refused.status, refused.headers["www-authenticate"].as_str()), (401, "Bearer"));
    assert_eq!(ask("GET /v2/nowhere", None).await.status, 401);
    assert_eq!(ask("GET /metrics", Some("wrong")).await.status, 401);
    assert_eq!(ask("GET /v2/models/digits", Some("read")).await.status, 200);
    assert_eq!(ask("POST /v2/repository/models/digits/unload", Some("read")).await.status, 403);
    assert_eq!(ask("GET /v2/models/digits", Some("read")).await.status, 200);
    assert_eq!(ask("GET /v2", Some("read")).await.status, 200);
    let limited = ask("GET /v2", Some("read")).await;
    assert!(limited.status == 429 && limited.headers.contains_key("retry-after"), "{limited:?}");
    assert_eq!(ask("GET /v2", Some("operate")).await.status, 200);
    let load = ask("POST /v2/repository/models/digits/load", Some("operate")).await;
    assert_eq!(load.status, 200, "{}", String::from_utf8_lossy(&load.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_given_and_taken_away_while_the_gateway_runs() {
    let (town, _) = town().await;
    let keys = town.path("changing-keys.json");
    let write = |list: serde_json::Value| std::fs::write(&keys, list.to_string()).expect("written");
    write(json!([{ "name": "first", "sha256": digest("first") }]));
    let path = keys.to_string_lossy().into_owned();
    let settings = [("LEAT_GATEWAY__KEYS_FILE", path.as_str()), ("LEAT_GATEWAY__FILES_CHECK_MS", "100")];
    let gateway = Guarded::start(&town, "changing", &settings).await;
    gateway.ready().await;
    let status = async |key: &str| send(gateway.http, "GET /v2", &[("x-api-key", key)], b"").await.status;
    assert_eq!((status("first").await, status("second").await), (200, 401));
    write(json!([{ "name": "second", "sha256": digest("second") }]));
    eventually("the second key is known", || async { (status("second").await == 200).then_some(()) }).await;
    assert_eq!(status("first").await, 401);
    write(
        json!([{ "name": "second", "sha256": digest("second") }, { "name": "third", "sha256": digest("third") }]),
    );
    eventually("the third key is known", || async { (status("third").await == 200).then_some(()) }).await;
    assert_eq!((status("first").await, status("second").await), (401, 200));
    // Taking the last ones away lets nobody in, rather than everybody.
    write(json!([]));
    eventually("no key is left", || async { (status("second").await == 401).then_some(()) }).await;
    assert_eq!(get(gateway.http, "/v2").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_stream_is_taken_from_its_key() {
    let (town, _) = town().await;
    let keys = town.path("stream-keys.json");
    let list = json!([{ "name": "s", "sha256": digest("stream"), "requests_per_second": 0.001, "burst": 3 }]);
    std::fs::write(&keys, list.to_string()).expect("written");
    let path = keys.to_string_lossy().into_owned();
    let gateway = Guarded::start(&town, "limited", &[("LEAT_GATEWAY__KEYS_FILE", &path)]).await;
    gateway.ready().await;
    let address = format!("127.0.0.1:{}", gateway.grpc);
    let said = python("limited.py", &[&address, &digits_path().to_string_lossy(), "stream"]).await;
    assert!(said.contains("three of six were answered"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_origins_that_are_named_may_ask() {
    let (town, _) = town().await;
    let settings = [("LEAT_GATEWAY__CORS_ORIGINS", "https://board.example")];
    let gateway = Guarded::start(&town, "for-pages", &settings).await;
    gateway.ready().await;
    let ask = async |request: &str, origin: &str, more: &[(&str, &str)]| {
        let headers = [&[("origin", origin)], more].concat();
        send(gateway.http, request, &headers, b"").await
    };
    let wanted = [("access-control-request-method", "POST"), ("access-control-request-headers", "x-api-key")];
    let infer = "OPTIONS /v2/models/digits/infer";
    let preflight = ask(infer, "https://board.example", &wanted).await;
    let told = |reply: &Reply, name: &str| reply.headers.get(name).cloned().unwrap_or_default();
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert_eq!(told(&preflight, "access-control-allow-origin"), "https://board.example");
    assert!(told(&preflight, "access-control-allow-methods").contains("POST"), "{preflight:?}");
    assert!(told(&preflight, "access-control-allow-headers").contains("x-api-key"), "{preflight:?}");
    assert_eq!(told(&preflight, "access-control-max-age"), "7200");
    let page = ask("GET /v2/models/digits", "https://board.example", &[]).await;
    assert_eq!(
        (page.status, told(&page, "access-control-allow-origin").as_str()),
        (200, "https://board.example")
    );
    assert!(told(&page, "access-control-expose-headers").contains("x-request-id"), "{page:?}");
    for (request, more) in [(infer, &wanted[..]), ("GET /v2/models/digits", &[])] {
        let stranger = ask(request, "https://elsewhere.example", more).await;
        assert!(!stranger.headers.contains_key("access-control-allow-origin"), "{stranger:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_clients_are_let_go() {
    let (town, _) = town().await;
    let settings = [
        ("LEAT_GATEWAY__HEADER_TIMEOUT_MS", "300"),
        ("LEAT_GATEWAY__BODY_TIMEOUT_MS", "300"),
        ("LEAT_GATEWAY__IDLE_TIMEOUT_MS", "500"),
    ];
    let gateway = Guarded::start(&town, "hasty", &settings).await;
    // Each of these returns only because the gateway closes the connection.
    let closed = async |bytes: &[u8]| {
        tokio::time::timeout(Duration::from_secs(20), exchange(gateway.http, bytes))
            .await
            .expect("closed in time")
    };
    assert!(closed(b"").await.is_empty());
    assert!(!String::from_utf8_lossy(&closed(b"GET /v2 HTTP/1.1\r\nhost: a\r\n").await).contains("200"));
    let late =
        closed(b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{").await;
    assert!(String::from_utf8_lossy(&late).starts_with("HTTP/1.1 408"), "{}", String::from_utf8_lossy(&late));
    assert!(!closed(b"GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n").await.is_empty());
    closed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(get(gateway.http, "/healthz").await.status, 200);
}
