//! Requests that mean ill: whatever comes, the process stays healthy and its memory flat.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::guarded::Guarded;
use super::http::{exchange, get, post};
use super::town;

const REQUESTS: u64 = 10_000;
const AT_ONCE: usize = 64;
/// What the allocator may keep after the flood that it did not have before.
const GROWTH_BYTES_MAX: f64 = 48.0 * 1024.0 * 1024.0;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_requests_leave_the_gateway_healthy_and_its_memory_flat() {
    let (town, _) = town().await;
    // Whoever says nothing is let go soon, so that the flood does not wait for its own slow senders.
    let settings = [
        ("LEAT_GATEWAY__HEADER_TIMEOUT_MS", "1000"),
        ("LEAT_GATEWAY__BODY_TIMEOUT_MS", "1000"),
        ("LEAT_GATEWAY__IDLE_TIMEOUT_MS", "1500"),
    ];
    let ports = Guarded::start(&town, "flooded", &settings).await;
    ports.ready().await;
    let seed = 20_261_125;
    println!("seed {seed}");
    // The first round fills what is kept for reuse; only what later ones add would be a leak.
    flood(seed, 0..REQUESTS / 4, (ports.http, ports.grpc)).await;
    let before = resident(ports.http).await;
    flood(seed, REQUESTS / 4..REQUESTS, (ports.http, ports.grpc)).await;
    let after = resident(ports.http).await;
    println!("resident: {:.1} MB before, {:.1} MB after", before / 1e6, after / 1e6);
    assert!(after - before < GROWTH_BYTES_MAX, "{before} bytes before, {after} after");

    let row = json!({ "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 64], "data": vec![0.0; 64] }] });
    assert_eq!(post(ports.http, "/v2/models/digits/infer", &row).await.status, 200);
    assert_eq!(get(ports.http, "/v2/health/ready").await.status, 200);
    leat_test_harness::eventually("no request of the flood is left", || async {
        (figure(ports.http, "leat_gateway_inflight").await <= 1.0).then_some(())
    })
    .await;
}

async fn flood(seed: u64, requests: std::ops::Range<u64>, (http, grpc): (u16, u16)) {
    let attacks = stream::iter(requests).map(|number| async move {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ number);
        let port = if number % 5 == 4 { grpc } else { http };
        match number % 10 {
            // Half-closed, or gone in the middle of what it said.
            0 => gone(port, &request(&mut random)).await,
            _ => drop(exchange(port, &request(&mut random)).await),
        }
    });
    attacks.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Says only a part and leaves, without reading anything.
async fn gone(port: u16, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let half = &bytes[..bytes.len() / 2];
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.write_all(half)).await;
    let _ = stream.shutdown().await;
}

/// One request that should not be.
fn request(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.next_u32() % 12 {
        0 => bytes(random, 512),
        1 => [b"GET /".to_vec(), bytes(random, 300), b" HTTP/1.1\r\n\r\n".to_vec()].concat(),
        2 => infer(random, &"[".repeat(20_000)),
        3 => infer(random, &format!("{{\"inputs\":{}1{}}}", "[".repeat(90), "]".repeat(90))),
        4 => {
            let shape = [u64::from(random.next_u32()), u64::MAX, 0, 1 << 40][random.next_u32() as usize % 4];
            infer(
                random,
                &format!(
                    r#"{{"inputs":[{{"name":"input","datatype":"FP32","shape":[{shape},{shape}],"data":[1]}}]}}"#
                ),
            )
        }
        5 => {
            let noise = String::from_utf8_lossy(&bytes(random, 200)).into_owned();
            infer(
                random,
                &json!({ "inputs": [{ "name": noise, "datatype": noise, "shape": [-1], "data": noise }] })
                    .to_string(),
            )
        }
        6 => {
            let size = random.next_u32();
            let body = format!(
                r#"{{"inputs":[{{"name":"input","datatype":"FP32","shape":[1,64],"parameters":{{"binary_data_size":{size}}}}}]}}"#
            );
            headed(
                random,
                &format!("inference-header-content-length: {}\r\n", body.len() as u32 ^ (size & 15)),
                body.as_bytes(),
            )
        }
        7 => headed(random, "content-encoding: gzip\r\n", &bytes(&mut random.clone(), 400)),
        8 => {
            // A message of gRPC that is far longer than it says it may be, or no message at all.
            let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            frames.extend(bytes(random, 200));
            frames
        }
        9 => post_to("/v1/models/digits:predict", &format!("{{\"instances\":[{}]}}", "[NaN,".repeat(60))),
        10 => post_to(
            "/v2/models/digits/infer",
            &format!("{{\"instances\":[{}0]}}", "{\"a\":1},".repeat(3_000)),
        ),
        _ => {
            let length = random.next_u32();
            format!("POST /v2/models/digits/infer HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{{").into_bytes()[..60 + length as usize % 30].to_vec()
        }
    }
}

fn infer(random: &mut ChaCha8Rng, body: &str) -> Vec<u8> {
    headed(random, "", body.as_bytes())
}

fn headed(random: &mut ChaCha8Rng, headers: &str, body: &[u8]) -> Vec<u8> {
    let model = ["digits", "nobody", "%00", "digits/versions/1"][random.next_u32() as usize % 4];
    let length = body.len();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.into_bytes(), body.to_vec()].concat()
}

fn post_to(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn bytes(random: &mut ChaCha8Rng, most: u32) -> Vec<u8> {
    let mut bytes = vec![0; (random.next_u32() % most) as usize];
    random.fill_bytes(&mut bytes);
    bytes
}

async fn resident(port: u16) -> f64 {
    figure(port, "process_resident_memory_bytes").await
}

/// One figure of the gateway's metrics.
async fn figure(port: u16, name: &str) -> f64 {
    let text = String::from_utf8(get(port, "/metrics").await.body).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is missing in {text}"))
}
