use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use leat_contract::assets::{Asset, AssetRole};
use leat_messaging::{Connection, Error, Objects, Storage};

use crate::support::{connect, own_broker, soon, storage, unique_subjects};

/// Bytes that differ from piece to piece.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 251) as u8).collect()
}

async fn objects() -> Objects {
    storage().await.1.objects(AssetRole::Models)
}

#[tokio::test]
async fn bytes_of_any_length_come_back() {
    let objects = objects().await;
    for length in [0, 1, 131_071, 131_072, 131_073, 5_000_000] {
        let bytes = bytes(length);
        let digest = objects.put(&bytes).await.unwrap();
        let found = soon("the object", objects.get(digest.as_str())).await.unwrap();
        assert!(found == bytes, "{length}");
        let turns = AtomicU32::new(0);
        let now_and_then = || turns.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let found = soon("the object", objects.get_giving_way(digest.as_str(), now_and_then)).await.unwrap();
        assert!(found == bytes, "{length} with rests");
    }
    assert_eq!(objects.list().await.unwrap().len(), 6);
}

#[tokio::test]
async fn the_same_bytes_are_stored_once() {
    let (connection, storage) = storage().await;
    let objects = storage.objects(AssetRole::Models);
    let bytes = bytes(300_000);
    let first = objects.put(&bytes).await.unwrap();
    let stream = Asset::new(storage.subjects(), AssetRole::Models).stream_name();
    let last = async || -> u64 {
        let operation = format!("$JS.API.STREAM.INFO.{stream}");
        let reply = connection.request(operation, "", Duration::from_secs(10)).await.unwrap();
        reply.json::<serde_json::Value>().unwrap()["state"]["last_seq"].as_u64().unwrap()
    };
    let before = last().await;
    let second = objects.put(&bytes).await.unwrap();
    assert_eq!((first, before), (second, last().await));
}

#[tokio::test]
async fn a_missing_object_is_missing() {
    let objects = objects().await;
    assert!(matches!(objects.get("nothing").await, Err(Error::Missing { .. })));
    assert!(!objects.exists("nothing").await.unwrap());
    objects.delete("nothing").await.unwrap();
}

#[tokio::test]
async fn a_deleted_object_is_gone_and_can_be_stored_again() {
    let objects = objects().await;
    let bytes = bytes(200_000);
    let digest = objects.put(&bytes).await.unwrap();
    objects.delete(digest.as_str()).await.unwrap();
    assert!(!objects.exists(digest.as_str()).await.unwrap());
    assert!(objects.list().await.unwrap().is_empty());
    objects.put(&bytes).await.unwrap();
    assert!(objects.get(digest.as_str()).await.unwrap() == bytes);
}

#[tokio::test]
async fn an_object_goes_with_the_last_who_needs_it() {
    let objects = objects().await;
    let bytes = bytes(200_000);
    let digest = objects.put(&bytes).await.unwrap();
    let remove = async |is_needed: bool| {
        objects.delete_unless(digest.as_str(), async || Ok::<_, Error>(is_needed)).await.unwrap()
    };
    assert!(!remove(true).await);
    assert!(objects.get(digest.as_str()).await.unwrap() == bytes);
    assert!(remove(false).await && remove(false).await);
    assert!(!objects.exists(digest.as_str()).await.unwrap());
    objects.keep(&bytes).await.unwrap();
    assert!(objects.get(digest.as_str()).await.unwrap() == bytes);
}

/// Whoever removes it asked before, and whoever needs it said so after that: the removal must not go through.
#[tokio::test]
async fn an_object_stays_for_who_comes_to_need_it_while_it_is_removed() {
    let objects = objects().await;
    let bytes = bytes(200_000);
    let digest = objects.put(&bytes).await.unwrap();
    let asked = AtomicU32::new(0);
    let is_needed = async || {
        if asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return Ok::<_, Error>(true);
        }
        objects.keep(&bytes).await?;
        Ok(false)
    };
    assert!(!objects.delete_unless(digest.as_str(), is_needed).await.unwrap());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(objects.get(digest.as_str()).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_named_object_can_be_replaced() {
    let objects = objects().await;
    objects.put_named("job-1", &bytes(200_000)).await.unwrap();
    objects.put_named("job-1", b"short").await.unwrap();
    assert_eq!(objects.get("job-1").await.unwrap(), b"short");
}

#[tokio::test]
async fn every_unique_object_has_a_name_of_its_own_and_is_read_within_a_limit() {
    let objects = objects().await;
    let bytes = bytes(600_000);
    let (first, second) =
        tokio::try_join!(objects.put_unique(bytes.clone().into()), objects.put_unique(bytes.clone().into()))
            .unwrap();
    assert_ne!(first, second);
    assert!(objects.get_within(&first, 600_000).await.unwrap() == bytes);
    match objects.get_within(&second, 599_999).await {
        Err(Error::ObjectTooLarge { bytes: 600_000, limit: 599_999, .. }) => {}
        other => panic!("expected a refusal, found {other:?}"),
    }
    for name in [first, second] {
        objects.delete(&name).await.unwrap();
    }
    assert_eq!(objects.list().await.unwrap(), []);
}

#[tokio::test]
async fn content_that_is_not_what_its_name_says_is_refused() {
    let objects = objects().await;
    let promised = format!("sha256-{}", "0".repeat(64));
    objects.put_named(&promised, b"something else").await.unwrap();
    assert!(matches!(objects.get(&promised).await, Err(Error::Damaged { .. })));
}

#[tokio::test]
async fn pieces_that_were_changed_or_lost_are_noticed_and_do_not_hang() {
    let (connection, storage) = storage().await;
    let objects = storage.objects(AssetRole::Models);
    let asset = Asset::new(storage.subjects(), AssetRole::Models);
    let operation = |what: &str| format!("$JS.API.STREAM.{what}.{}", asset.stream_name());
    let first = objects.put(&bytes(300_000)).await.unwrap();
    // The first piece of the only object has sequence 1.
    connection.request(operation("MSG.DELETE"), "{\"seq\":1}", Duration::from_secs(10)).await.unwrap();
    let outcome = soon("a damaged object", objects.get(first.as_str())).await;
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");

    let second = objects.put(b"one piece").await.unwrap();
    let purge = format!("{{\"filter\":\"$O.{}.C.>\"}}", asset.name);
    connection.request(operation("PURGE"), purge, Duration::from_secs(10)).await.unwrap();
    let outcome = soon("a lost object", objects.get(second.as_str())).await;
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
}

#[tokio::test]
async fn objects_are_there_after_a_restart_of_the_broker() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    let objects = storage.objects(AssetRole::Datasets);
    let bytes = bytes(1_000_000);
    let digest = objects.put(&bytes).await.unwrap();
    broker.restart().await.unwrap();
    connection.connected(Duration::from_secs(10)).await.unwrap();
    assert!(soon("the object", objects.get(digest.as_str())).await.unwrap() == bytes);
}

/// The subjects under which pieces are stored.
async fn piece_subjects(connection: &Connection, storage: &Storage) -> Vec<String> {
    let asset = Asset::new(storage.subjects(), AssetRole::Models);
    let operation = format!("$JS.API.STREAM.INFO.{}", asset.stream_name());
    let request = format!("{{\"subjects_filter\":\"$O.{}.C.>\"}}", asset.name);
    let reply = connection.request(operation, request, Duration::from_secs(10)).await.unwrap();
    let info: serde_json::Value = reply.json().unwrap();
    info["state"]["subjects"].as_object().map_or_else(Vec::new, |found| found.keys().cloned().collect())
}

#[tokio::test]
async fn writers_of_one_name_leave_the_pieces_of_one() {
    let (connection, storage) = storage().await;
    let objects = storage.objects(AssetRole::Models);
    let contents: Vec<Vec<u8>> = (0..8_u8).map(|number| vec![number; 200_000]).collect();
    for _ in 0..3 {
        let writing = contents.iter().map(|content| objects.put_named("job-1", content));
        for written in futures_util::future::join_all(writing).await {
            written.unwrap();
        }
        let found = objects.get("job-1").await.unwrap();
        assert!(contents.contains(&found));
        assert_eq!(piece_subjects(&connection, &storage).await.len(), 1);
    }
    objects.delete("job-1").await.unwrap();
    assert!(piece_subjects(&connection, &storage).await.is_empty());
}

#[tokio::test]
async fn pieces_without_an_object_are_swept_when_they_are_old() {
    let (connection, storage) = storage().await;
    let objects = storage.objects(AssetRole::Models);
    let kept = objects.put(&bytes(300_000)).await.unwrap();
    let asset = Asset::new(storage.subjects(), AssetRole::Models);
    let orphan = format!("$O.{}.C.orphan", asset.name);
    for _ in 0..2 {
        connection.request(orphan.as_str(), "piece", Duration::from_secs(10)).await.unwrap();
    }
    assert_eq!(objects.sweep(Duration::from_secs(3600)).await.unwrap(), 0);
    assert!(piece_subjects(&connection, &storage).await.contains(&orphan));
    assert_eq!(objects.sweep(Duration::ZERO).await.unwrap(), 1);
    assert!(!piece_subjects(&connection, &storage).await.contains(&orphan));
    assert!(objects.get(kept.as_str()).await.unwrap() == bytes(300_000));
}
