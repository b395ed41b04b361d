//! Bodies over what one message of the broker may have.

use serde_json::{Value, json};

use super::http::{post, send};
use super::town;
use crate::town::digits;

fn request(rows: usize) -> (Value, usize) {
    let digits = digits();
    let mut values = Vec::with_capacity(rows * 64);
    for row in 0..rows {
        values.extend(digits.rows.row(row % digits.len()).iter().copied().map(f64::from));
    }
    let body = json!({ "id": "large", "inputs": [{ "name": "input", "datatype": "FP32", "shape": [rows, 64], "data": values }] });
    let bytes = body.to_string().len();
    (body, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_of_the_broker_is_asked_in_parts_and_answered_in_order() {
    let (_town, ports) = town().await;
    let rows = 12_000;
    let (large, bytes) = request(rows);
    assert!(bytes > 3 * 1024 * 1024, "{bytes} bytes");
    let answer = post(ports.http, "/v2/models/digits/infer", &large).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body[..answer.body.len().min(500)]));
    let answer = answer.json();
    assert_eq!((&answer["id"], &answer["outputs"][0]["shape"]), (&json!("large"), &json!([rows, 10])));
    let (small, _) = request(100);
    let small = post(ports.http, "/v2/models/digits/infer", &small).await.json();
    let (all, first) = (&answer["outputs"][0]["data"], &small["outputs"][0]["data"]);
    let all = all.as_array().expect("numbers");
    let period = digits().len();
    for start in (0..rows - 100).step_by(period) {
        assert_eq!(
            &all[start * 10..(start + 100) * 10],
            first.as_array().expect("numbers").as_slice(),
            "row {start}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_or_wrong_is_refused_however_it_travels() {
    let (_town, ports) = town().await;
    let instances = json!({ "instances": vec![vec![0.5; 64]; 6_000] });
    let refusal = post(ports.http, "/v2/models/digits/infer", &instances).await;
    assert_eq!(refusal.status, 413);
    assert!(refusal.json()["error"].as_str().expect("a text").contains("4096 rows"), "{}", refusal.json());
    let one_row = json!({ "inputs": [{ "name": "input", "datatype": "FP64", "shape": [1, 300_000], "data": vec![0.5; 300_000] }] });
    let refusal = post(ports.http, "/v2/models/digits/infer", &one_row).await;
    assert_eq!(refusal.status, 400);
    assert!(refusal.json()["error"].as_str().expect("a text").contains("64 features"), "{}", refusal.json());
    // The gateway's own limit is found before anything is sent.
    let length = (65 * 1024 * 1024).to_string();
    let refusal = send(ports.http, "POST /v2/models/digits/infer", &[("content-length", &length)], b"").await;
    assert_eq!(refusal.status, 413);
    assert!(refusal.json()["error"].as_str().expect("a text").contains("body_bytes_max"));
}
