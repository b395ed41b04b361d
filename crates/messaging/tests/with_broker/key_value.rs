use std::time::{Duration, Instant};

use leat_contract::assets::{Asset, AssetRole};
use leat_messaging::{Change, Error, KeyValue, Storage, Watch, Watched};

use crate::delayed_line::DelayedLine;
use crate::support::{connect, eventually, own_broker, shared_url, soon, storage, unique_subjects};

async fn bucket() -> KeyValue<String> {
    storage().await.1.key_value(AssetRole::Registry)
}

fn text(text: &str) -> String {
    text.to_owned()
}

async fn next(watch: &mut Watch<String>) -> Watched<String> {
    soon("a change", watch.next()).await.unwrap()
}

/// The next change, whatever listings end in between.
async fn change(watch: &mut Watch<String>) -> (String, Option<String>) {
    loop {
        if let Watched::Change(Change { key, value, .. }) = next(watch).await {
            return (key, value);
        }
    }
}

#[tokio::test]
async fn a_value_is_what_was_put_last() {
    let bucket = bucket().await;
    assert_eq!(bucket.get("digits").await.unwrap(), None);
    let first = bucket.put("digits", &text("a")).await.unwrap();
    let second = bucket.put("digits", &text("b")).await.unwrap();
    let entry = bucket.get("digits").await.unwrap().unwrap();
    assert!(second > first);
    assert_eq!((entry.value, entry.revision), (text("b"), second));
    bucket.delete("digits").await.unwrap();
    assert_eq!(bucket.get("digits").await.unwrap(), None);
}

#[tokio::test]
async fn what_a_key_had_when_it_was_removed_is_known() {
    let bucket = bucket().await;
    assert_eq!(bucket.removed("digits").await.unwrap(), None, "there never was one");
    bucket.put("digits", &text("a")).await.unwrap();
    bucket.put("digits", &text("b")).await.unwrap();
    bucket.put("digits2", &text("c")).await.unwrap();
    assert_eq!(bucket.removed("digits").await.unwrap(), None, "it is there");
    bucket.delete("digits").await.unwrap();
    bucket.delete("digits").await.unwrap();
    assert_eq!(bucket.removed("digits").await.unwrap(), Some(text("b")));
    bucket.create("digits", &text("d")).await.unwrap();
    assert_eq!(bucket.removed("digits").await.unwrap(), None);
}

#[tokio::test]
async fn only_one_of_two_writers_wins() {
    let bucket = bucket().await;
    let revision = bucket.create("digits", &text("a")).await.unwrap();
    assert!(matches!(bucket.create("digits", &text("b")).await, Err(Error::Conflict { .. })));
    let (left, right) = (text("left"), text("right"));
    let (left, right) =
        tokio::join!(bucket.update("digits", &left, revision), bucket.update("digits", &right, revision));
    let conflicts = [&left, &right]
        .into_iter()
        .filter(|outcome| matches!(outcome, Err(Error::Conflict { key }) if key == "digits"));
    assert_eq!(conflicts.count(), 1, "{left:?} {right:?}");
    let current = bucket.get("digits").await.unwrap().unwrap();
    assert!(matches!(bucket.delete_revision("digits", revision).await, Err(Error::Conflict { .. })));
    bucket.delete_revision("digits", current.revision).await.unwrap();
}

#[tokio::test]
async fn a_deleted_key_can_be_created_again() {
    let bucket = bucket().await;
    bucket.create("digits", &text("a")).await.unwrap();
    bucket.delete("digits").await.unwrap();
    bucket.create("digits", &text("b")).await.unwrap();
    assert_eq!(bucket.get("digits").await.unwrap().unwrap().value, "b");
}

#[tokio::test]
async fn lists_what_is_there_and_what_matches() {
    let bucket = bucket().await;
    assert!(bucket.entries().await.unwrap().is_empty());
    for key in ["b.version.1", "a.version.1", "a.alias.live", "gone"] {
        bucket.put(key, &text(key)).await.unwrap();
    }
    bucket.delete("gone").await.unwrap();
    let keys = |entries: Vec<leat_messaging::Entry<String>>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(keys(bucket.entries().await.unwrap()), ["a.alias.live", "a.version.1", "b.version.1"]);
    assert_eq!(keys(bucket.entries_matching("*.version.*").await.unwrap()), ["a.version.1", "b.version.1"]);
}

#[tokio::test]
async fn an_impossible_key_is_an_error() {
    let bucket = bucket().await;
    for key in ["", "a b", "a..b", "a.*", ">"] {
        assert!(matches!(bucket.get(key).await, Err(Error::Invalid { .. })), "{key}");
        assert!(matches!(bucket.put(key, &text("")).await, Err(Error::Invalid { .. })), "{key}");
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_that_names_the_key() {
    let (_, storage) = storage().await;
    storage.key_value::<u32>(AssetRole::Desired).put("digits", &7).await.unwrap();
    let texts = storage.key_value::<String>(AssetRole::Desired);
    let error = texts.get("digits").await.unwrap_err();
    assert!(matches!(&error, Error::Decode { what, .. } if what.contains("digits")), "{error}");
    let mut watch = texts.watch().unwrap();
    assert!(matches!(soon("the value", watch.next()).await, Err(Error::Decode { .. })));
    assert_eq!(next(&mut watch).await, Watched::Current);
}

#[tokio::test]
async fn one_unreadable_value_does_not_hide_the_others() {
    let (_, storage) = storage().await;
    let numbers = storage.key_value::<u32>(AssetRole::Desired);
    numbers.put("a.one", &1).await.unwrap();
    numbers.put("b.two", &2).await.unwrap();
    storage.key_value::<String>(AssetRole::Desired).put("a.foreign", &text("x")).await.unwrap();
    assert!(matches!(numbers.entries().await, Err(Error::Decode { .. })));
    let (entries, unreadable) = numbers.entries_readable().await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.value).collect::<Vec<_>>(), [1, 2]);
    assert!(
        matches!(unreadable.as_slice(), [Error::Decode { what, .. }] if what.contains("a.foreign")),
        "{unreadable:?}"
    );
    let (matching, unreadable) = numbers.entries_readable_matching("b.*").await.unwrap();
    assert_eq!((matching.len(), unreadable.len()), (1, 0));
}

/// Listings that were told of values which are gone when they come to read them.
#[tokio::test]
async fn a_listing_ends_although_what_it_was_told_of_expires_meanwhile() {
    let (connection, storage) = storage().await;
    let line = DelayedLine::start(&shared_url().await, Duration::from_millis(500)).await;
    let far_away = Storage::open(&connect(&line.url).await, storage.subjects());
    storage.key_value(AssetRole::Registry).put("digits", &text("a")).await.unwrap();
    let asset = Asset::new(storage.subjects(), AssetRole::Registry);
    let call = async |operation: &str| -> serde_json::Value {
        let operation = format!("$JS.API.{operation}.{}", asset.stream_name());
        connection.request(operation, "", Duration::from_secs(10)).await.unwrap().json().unwrap()
    };
    let bucket = far_away.key_value::<String>(AssetRole::Registry);
    let expiring = async {
        eventually("a listing has begun", async || call("CONSUMER.NAMES").await["total"] == 1).await;
        call("STREAM.PURGE").await;
    };
    let started = Instant::now();
    let (listed, ()) = soon("a listing", async { tokio::join!(bucket.entries(), expiring) }).await;
    assert!(listed.unwrap().is_empty());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_watch_of_an_empty_bucket_says_so() {
    let mut watch = bucket().await.watch().unwrap();
    assert_eq!(next(&mut watch).await, Watched::Current);
}

#[tokio::test]
async fn a_watch_gives_what_is_there_then_what_changes() {
    let bucket = bucket().await;
    bucket.put("a", &text("1")).await.unwrap();
    bucket.put("a", &text("2")).await.unwrap();
    bucket.put("gone", &text("0")).await.unwrap();
    bucket.delete("gone").await.unwrap();
    let mut watch = bucket.watch().unwrap();
    assert!(
        matches!(next(&mut watch).await, Watched::Change(Change { value: Some(value), .. }) if value == "2")
    );
    assert_eq!(next(&mut watch).await, Watched::Current);
    bucket.put("b", &text("3")).await.unwrap();
    assert_eq!(change(&mut watch).await, (text("b"), Some(text("3"))));
    bucket.delete("a").await.unwrap();
    assert_eq!(change(&mut watch).await, (text("a"), None));
}

#[tokio::test]
async fn a_repeated_listing_finds_what_vanished_without_a_word() {
    let (connection, storage) = storage().await;
    let bucket = storage.key_value::<String>(AssetRole::Registry);
    bucket.put("stays", &text("1")).await.unwrap();
    bucket.put("vanishes", &text("1")).await.unwrap();
    let mut watch = bucket.watch().unwrap().listing_every(Duration::from_millis(500));
    while next(&mut watch).await != Watched::Current {}
    // A purge of the stream leaves no marker, as the expiry of a bucket does not.
    let name = AssetRole::Registry;
    let asset = Asset::new(storage.subjects(), name);
    let filter = format!("{{\"filter\":\"$KV.{}.vanishes\"}}", asset.name);
    let operation = format!("$JS.API.STREAM.PURGE.{}", asset.stream_name());
    connection.request(operation, filter, Duration::from_secs(10)).await.unwrap();
    assert_eq!(change(&mut watch).await, (text("vanishes"), None));
}

#[tokio::test]
async fn a_watch_outlives_a_restart_of_the_broker() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    let bucket = storage.key_value::<String>(AssetRole::Desired);
    bucket.put("before", &text("1")).await.unwrap();
    let mut watch = bucket.watch().unwrap();
    while next(&mut watch).await != Watched::Current {}
    for round in 0..2 {
        broker.restart().await.unwrap();
        let back = Instant::now();
        // The write itself has to bridge the outage too.
        let key = format!("after-{round}");
        soon("a write", async { while bucket.put(&key, &text("2")).await.is_err() {} }).await;
        assert_eq!(change(&mut watch).await, (key, Some(text("2"))));
        assert!(back.elapsed() < Duration::from_secs(8), "{:?}", back.elapsed());
    }
}
