use std::collections::BTreeMap;
use std::time::Duration;

use leat_messaging::Connection;
use leat_messaging::micro::{Detail, EndpointInfo, Service, ServiceInfo};
use serde_json::{Value, json};

use crate::support::{connection, soon, unique_subjects};

fn info(name: &str) -> ServiceInfo {
    ServiceInfo {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        description: "answers".to_owned(),
        metadata: BTreeMap::from([("region".to_owned(), "here".to_owned())]),
    }
}

fn endpoint() -> EndpointInfo {
    EndpointInfo {
        name: "digits".to_owned(),
        subject: "leat.v1.infer.digits".to_owned(),
        queue_group: "q".to_owned(),
        metadata: BTreeMap::from([("model".to_owned(), "digits".to_owned())]),
    }
}

async fn ask(connection: &Connection, subject: String) -> Value {
    connection.request(subject, "", Duration::from_secs(20)).await.unwrap().json().unwrap()
}

#[tokio::test]
async fn every_subject_of_the_protocol_is_answered() {
    let connection = connection().await;
    let name = unique_subjects().prefix().to_owned();
    let service = Service::start(&connection, "instance", info(&name)).await.unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    for (verb, kind) in [("PING", "ping"), ("INFO", "info"), ("STATS", "stats")] {
        for subject in [format!("$SRV.{verb}.{name}"), format!("$SRV.{verb}.{name}.instance")] {
            let answer = ask(&connection, subject).await;
            assert_eq!(answer["type"], format!("io.nats.micro.v1.{kind}_response"));
            assert_eq!((&answer["name"], &answer["id"]), (&json!(name), &json!("instance")));
            assert_eq!(
                (&answer["version"], &answer["metadata"]["region"]),
                (&json!("0.1.0"), &json!("here"))
            );
        }
        // Every service answers this one, those of other tests too.
        let answer = ask(&connection, format!("$SRV.{verb}")).await;
        assert_eq!(answer["type"], format!("io.nats.micro.v1.{kind}_response"));
    }
    service.stop().await;
}

#[tokio::test]
async fn endpoints_are_described_until_they_are_removed() {
    let connection = connection().await;
    let name = unique_subjects().prefix().to_owned();
    let service = Service::start(&connection, "instance", info(&name)).await.unwrap();
    let listed = service.add_endpoint(endpoint()).unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    let answer = ask(&connection, format!("$SRV.INFO.{name}")).await;
    assert_eq!(answer["description"], "answers");
    let expected = json!([{
        "name": "digits", "subject": "leat.v1.infer.digits", "queue_group": "q", "metadata": { "model": "digits" },
    }]);
    assert_eq!(answer["endpoints"], expected);
    service.remove_endpoint(&listed);
    assert_eq!(ask(&connection, format!("$SRV.INFO.{name}")).await["endpoints"], json!([]));
}

#[tokio::test]
async fn requests_errors_and_times_are_counted() {
    let connection = connection().await;
    let name = unique_subjects().prefix().to_owned();
    let service = Service::start(&connection, "instance", info(&name)).await.unwrap();
    let counted = service.add_endpoint(endpoint()).unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    let empty = ask(&connection, format!("$SRV.STATS.{name}")).await;
    assert_eq!(
        (&empty["endpoints"][0]["num_requests"], &empty["endpoints"][0]["average_processing_time"]),
        (&json!(0), &json!(0))
    );
    assert!(empty["started"].as_str().unwrap().ends_with('Z'));

    counted.record(Duration::from_nanos(100), Ok(()));
    counted.record(Duration::from_nanos(200), Err("404: no such model"));
    counted.record_many(2, Duration::from_nanos(100));
    counted.set_data(|_| json!({ "queue_depth": 3 }));
    let full = ask(&connection, format!("$SRV.STATS.{name}")).await;
    let expected = json!({
        "name": "digits", "subject": "leat.v1.infer.digits", "queue_group": "q",
        "num_requests": 4, "num_errors": 1, "last_error": "404: no such model",
        "processing_time": 400, "average_processing_time": 100, "data": { "queue_depth": 3 },
    });
    assert_eq!(full["endpoints"][0], expected);
}

#[tokio::test]
async fn figures_that_no_message_holds_are_told_in_brief_or_without_the_service_s_own() {
    let connection = connection().await;
    let name = unique_subjects().prefix().to_owned();
    let service = Service::start(&connection, "instance", info(&name)).await.unwrap();
    let bytes_max = connection.payload_bytes_max();
    let text = move |parts: usize| "x".repeat(bytes_max / parts);
    let listed = service.add_endpoint(endpoint()).unwrap();
    listed.record_many(7, Duration::from_nanos(100));
    listed.set_data(move |detail| json!({ "text": text(2), "detail": format!("{detail:?}") }));
    let other = service.add_endpoint(EndpointInfo { name: "other".to_owned(), ..endpoint() }).unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    let told = async || {
        let answer = ask(&connection, format!("$SRV.STATS.{name}")).await;
        let first = &answer["endpoints"][0];
        (first["num_requests"].clone(), first["data"]["detail"].as_str().map(ToOwned::to_owned))
    };
    let detail = |detail: &str| Some(detail.to_owned());
    assert_eq!(told().await, (json!(7), detail("Full")));
    other.set_data(move |detail| if detail == Detail::Full { json!(text(2)) } else { json!(text(4)) });
    assert_eq!(told().await, (json!(7), detail("Brief")));
    other.set_data(move |_| json!(text(2)));
    assert_eq!(told().await, (json!(7), None));
}

#[tokio::test]
async fn a_stopped_service_answers_no_more() {
    let connection = connection().await;
    let name = unique_subjects().prefix().to_owned();
    let service = Service::start(&connection, "instance", info(&name)).await.unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    service.stop().await;
    soon("silence", async {
        while connection.request(format!("$SRV.PING.{name}"), "", Duration::from_millis(500)).await.is_ok() {}
    })
    .await;
}

#[tokio::test]
async fn a_name_against_the_grammar_is_refused() {
    let connection = connection().await;
    assert!(Service::start(&connection, "instance", info("two words")).await.is_err());
    assert!(Service::start(&connection, "a.b", info("name")).await.is_err());
}
