//! Bodies over what one message of the broker may have.

use leat_contract::{InferRequest, ModelName, ModelVersion};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::http::{post, send};
use super::town;
use crate::town::{Town, digits};

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

/// Answers all requests on a subject as version 1, with one output for each row, and tells how long each may take.
async fn answer_parts(town: &Town, subject: String) -> mpsc::UnboundedReceiver<u64> {
    let mut requests = town.connection.queue_subscribe(subject, "q").await.expect("subscribed");
    town.connection.round_trip(std::time::Duration::from_secs(5)).await.expect("the broker knows");
    let (deadlines, told) = mpsc::unbounded_channel();
    let connection = town.connection.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let (read, _) = InferRequest::decode(request.payload()).expect("a request");
            let rows = read.rows();
            let output =
                json!({ "name": "y", "datatype": "FP32", "shape": [rows, 1], "data": vec![0.5; rows] });
            let answer = json!({ "model_name": "probe", "model_version": "1", "outputs": [output] });
            let inbox = request.reply().expect("somebody waits").clone();
            connection.publish(inbox, answer.to_string()).await.expect("answered");
            deadlines.send(read.deadline_ms.expect("a deadline")).expect("the test listens");
        }
    });
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parts_together_have_the_time_of_the_request() {
    let (town, ports) = town().await;
    let (model, subjects): (ModelName, _) = ("probe".parse().expect("a name"), town.cluster.subjects());
    let mut first = answer_parts(&town, subjects.infer(&model)).await;
    let mut others = answer_parts(&town, subjects.infer_version(&model, ModelVersion::FIRST)).await;
    let rows = 50_000;
    let input = json!({ "name": "x", "datatype": "FP32", "shape": [rows, 8], "data": vec![0.25; rows * 8] });
    let request = json!({ "deadline_ms": 20_000, "inputs": [input] });
    let answer = post(ports.http, "/v2/models/probe/infer", &request).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json()["outputs"][0]["shape"], json!([rows, 1]));
    let first = first.recv().await.expect("the first part");
    assert!(first < 20_000, "{first} ms for the first part");
    let others: Vec<u64> = std::iter::from_fn(|| others.try_recv().ok()).collect();
    assert!(!others.is_empty() && others.iter().all(|other| *other <= first), "{others:?} after {first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_parts_nor_aliases_lose_their_version_to_a_route_change() {
    let (town, ports) = town().await;
    let (large, _) = request(3_000);
    let (small, _) = request(1);
    let done = tokio_util::sync::CancellationToken::new();
    let asking = |path: &'static str, body: Value| {
        let done = done.clone();
        tokio::spawn(async move {
            let mut answered = 0;
            while !done.is_cancelled() {
                let answer = post(ports.http, path, &body).await;
                assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
                answered += 1;
            }
            answered
        })
    };
    let asking = [
        asking("/v2/models/digits/infer", large.clone()),
        asking("/v2/models/digits/versions/production/infer", large),
        asking("/v2/models/digits/versions/production/infer", small),
    ];
    for change in 0..40 {
        town.json(&["promote", if change % 2 == 0 { "digits@2" } else { "digits@1" }]).await;
    }
    done.cancel();
    for asked in asking {
        assert!(asked.await.expect("every answer is one") > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_a_batch_may_have_are_cut_in_the_short_form_too() {
    let (_town, ports) = town().await;
    let rows: Vec<Vec<f64>> = (0..6_000)
        .map(|row| (0..64).map(|column| f64::from((row * 7 + column) % 17) / 16.0).collect())
        .collect();
    let ask = async |rows: &[Vec<f64>]| {
        let answer = post(
            ports.http,
            "/v2/models/digits/versions/1/infer",
            &json!({ "id": "short", "instances": rows }),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    };
    let (whole, first, last) = (ask(&rows).await, ask(&rows[..1]).await, ask(&rows[5_999..]).await);
    let predictions = whole["predictions"].as_array().expect("rows");
    assert_eq!(
        (predictions.len(), &whole["id"], &whole["model_version"]),
        (6_000, &json!("short"), &json!("1"))
    );
    assert_eq!(
        (&predictions[0], &predictions[5_999]),
        (&first["predictions"][0], &last["predictions"][0]),
        "to the last digit"
    );
    let mut broken = json!(rows);
    broken[5_003][0] = Value::Null;
    let refusal = post(ports.http, "/v2/models/digits/infer", &json!({ "instances": broken })).await;
    assert_eq!(refusal.status, 400);
    let text = refusal.json()["error"].as_str().expect("a text").to_owned();
    let number = |before: &str| {
        let rest = text.split_once(before).unwrap_or_else(|| panic!("{before:?} in {text}")).1;
        rest.split(' ')
            .next()
            .and_then(|number| number.parse::<usize>().ok())
            .unwrap_or_else(|| panic!("{text}"))
    };
    assert_eq!(number("of rows ") + number("of row "), 5_003, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_or_wrong_is_refused_however_it_travels() {
    let (_town, ports) = town().await;
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
