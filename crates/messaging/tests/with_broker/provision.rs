use std::time::Duration;

use leat_contract::assets::{self, Asset, AssetRole};
use leat_messaging::{Connection, Error, Storage};
use serde_json::{Value, json};

use crate::guarded_server::GuardedServer;
use crate::support::{connect, connection, storage, unique_subjects};

async fn api(connection: &Connection, operation: String, request: &Value) -> Value {
    let payload = if request.is_null() { String::new() } else { request.to_string() };
    let reply =
        connection.request(format!("$JS.API.{operation}"), payload, Duration::from_secs(10)).await.unwrap();
    reply.json().unwrap()
}

#[tokio::test]
async fn provisioning_makes_everything_and_can_be_repeated() {
    let (connection, storage) = storage().await;
    Storage::provision(&connection, storage.subjects()).await.unwrap();
    storage.verify().await.unwrap();
    for asset in assets::all(storage.subjects()) {
        let info = api(&connection, format!("STREAM.INFO.{}", asset.stream_name()), &Value::Null).await;
        assert_eq!(info["config"]["max_bytes"].as_u64(), Some(asset.max_bytes), "{}", asset.name);
    }
}

#[tokio::test]
async fn several_processes_may_provision_at_once() {
    let subjects = unique_subjects();
    let (first, second) = (connection().await, connection().await);
    let (first, second) =
        tokio::join!(Storage::provision(&first, &subjects), Storage::provision(&second, &subjects));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn what_differs_is_noticed_and_repaired() {
    let (connection, storage) = storage().await;
    let stream = Asset::new(storage.subjects(), AssetRole::Events).stream_name();
    let mut config = api(&connection, format!("STREAM.INFO.{stream}"), &Value::Null).await["config"].clone();
    config["max_bytes"] = json!(1024);
    api(&connection, format!("STREAM.UPDATE.{stream}"), &config).await;

    let error = storage.verify().await.unwrap_err();
    assert!(
        matches!(&error, Error::Drifted { difference, .. } if difference.contains("max_bytes")),
        "{error}"
    );
    Storage::provision(&connection, storage.subjects()).await.unwrap();
    storage.verify().await.unwrap();
}

#[tokio::test]
async fn a_limit_that_was_raised_stays_raised() {
    let (connection, storage) = storage().await;
    let stream = Asset::new(storage.subjects(), AssetRole::Registry).stream_name();
    let info = format!("STREAM.INFO.{stream}");
    let mut config = api(&connection, info.clone(), &Value::Null).await["config"].clone();
    let raised = config["max_bytes"].as_u64().unwrap() * 2;
    (config["max_bytes"], config["max_msgs_per_subject"]) = (json!(raised), json!(64));
    api(&connection, format!("STREAM.UPDATE.{stream}"), &config).await;
    storage.verify().await.unwrap();

    // Something else is to be repaired, which must leave the raised limits alone.
    config["allow_direct"] = json!(false);
    api(&connection, format!("STREAM.UPDATE.{stream}"), &config).await;
    assert!(storage.verify().await.is_err());
    Storage::provision(&connection, storage.subjects()).await.unwrap();
    let found = api(&connection, info, &Value::Null).await["config"].clone();
    assert_eq!(
        (
            found["allow_direct"].as_bool(),
            found["max_bytes"].as_u64(),
            found["max_msgs_per_subject"].as_i64()
        ),
        (Some(true), Some(raised), Some(64))
    );
}

#[tokio::test]
async fn a_lease_lives_exactly_as_long_as_required() {
    let (connection, storage) = storage().await;
    let stream = Asset::new(storage.subjects(), AssetRole::Actual).stream_name();
    let mut config = api(&connection, format!("STREAM.INFO.{stream}"), &Value::Null).await["config"].clone();
    let required = config["max_age"].as_u64().unwrap();
    config["max_age"] = json!(required * 2);
    api(&connection, format!("STREAM.UPDATE.{stream}"), &config).await;
    let error = storage.verify().await.unwrap_err();
    assert!(matches!(&error, Error::Drifted { difference, .. } if difference.contains("max_age")), "{error}");
    Storage::provision(&connection, storage.subjects()).await.unwrap();
    storage.verify().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_repaired_is_refused_by_name() {
    let (connection, storage) = (connection().await, unique_subjects());
    let asset = Asset::new(&storage, AssetRole::Events);
    let config = json!({ "name": asset.stream_name(), "subjects": asset.subjects, "storage": "memory" });
    api(&connection, format!("STREAM.CREATE.{}", asset.stream_name()), &config).await;
    let error = Storage::provision(&connection, &storage).await.unwrap_err();
    let Error::Drifted { asset: named, difference } = &error else { panic!("{error}") };
    assert!(*named == asset.stream_name() && difference.contains("storage"), "{error}");
}

#[tokio::test]
async fn a_broker_with_too_little_room_says_how_much_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().display();
    let server =
        GuardedServer::start(&format!("jetstream {{ store_dir: \"{store}\", max_file_store: 64MB }}")).await;
    let (connection, subjects) = (connect(&server.url).await, unique_subjects());
    let error = Storage::provision(&connection, &subjects).await.unwrap_err();
    let needed = format!("Leat reserves {} MiB", assets::bytes_max(&subjects) >> 20);
    assert!(matches!(error, Error::Storage { code: 10_047, .. }), "{error}");
    assert!(error.to_string().contains(&needed) && error.to_string().contains("max_file_store"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let subjects = unique_subjects();
    let error = Storage::open(&connection().await, &subjects).verify().await.unwrap_err();
    let first = assets::all(&subjects)[0].stream_name();
    assert!(matches!(&error, Error::Missing { what } if what.contains(&first)), "{error}");
}
