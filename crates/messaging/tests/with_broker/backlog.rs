//! What a work queue holds, read without being taken.

use std::time::Duration;

use leat_contract::assets::{Asset, AssetRole};
use leat_contract::headers::{
    DEAD_ATTEMPTS, DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SEQUENCE, DEAD_SUBJECT, DEAD_TRUNCATED,
};
use leat_contract::{ModelName, Subjects};
use leat_messaging::{Backlog, Headers, Look, Position, Storage};

use crate::support::{soon, storage};

/// Later than any message.
const ANY: u64 = u64::MAX;

fn model() -> ModelName {
    "tiny".parse().unwrap()
}

async fn submit(storage: &Storage, ids: &[&str]) {
    let queue = storage.async_queue(&model());
    for id in ids {
        queue.submit(storage.subjects().async_infer(&model()), id, (*id).to_owned()).await.unwrap();
    }
}

async fn next(backlog: &mut Backlog) -> Option<String> {
    let waiting = backlog.next(ANY).await.unwrap()?;
    Some(String::from_utf8(waiting.payload().to_vec()).unwrap())
}

fn texts(ids: &[&str]) -> Vec<Option<String>> {
    ids.iter().map(|id| Some((*id).to_owned())).collect()
}

#[tokio::test]
async fn each_message_is_read_once_also_while_it_is_taken_and_not_before_its_time() {
    let (_, storage) = storage().await;
    let mut backlog = storage.async_backlog();
    assert_eq!(next(&mut backlog).await, None);
    submit(&storage, &["one", "two", "three"]).await;
    let mut queue = storage.async_queue(&model());
    queue.prepare().await.unwrap();
    let taken = queue.take_any(Duration::from_secs(10)).await.unwrap().unwrap();
    assert!(backlog.next(taken.accepted_at_ms() - 1000).await.unwrap().is_none());
    let read = [next(&mut backlog).await, next(&mut backlog).await, next(&mut backlog).await];
    assert_eq!(read.to_vec(), texts(&["one", "two", "three"]));
    assert_eq!(next(&mut backlog).await, None);

    let again = backlog.get(taken.sequence()).await.unwrap().unwrap();
    assert_eq!((again.accepted_at_ms(), again.subject()), (taken.accepted_at_ms(), taken.subject()));
    let sequence = taken.sequence();
    taken.done().await.unwrap();
    assert!(backlog.get(sequence).await.unwrap().is_none());
    queue.close().await;
}

#[tokio::test]
async fn a_handed_over_message_keeps_the_time_at_which_it_was_accepted() {
    let (_, storage) = storage().await;
    submit(&storage, &["one"]).await;
    let mut queue = storage.async_queue(&model());
    queue.prepare().await.unwrap();
    let taken = queue.take_any(Duration::from_secs(10)).await.unwrap().unwrap();
    let accepted = taken.accepted_at_ms();
    taken.hand_over().await.unwrap();
    let waiting = storage.async_backlog().next(ANY).await.unwrap().unwrap();
    assert_eq!((waiting.accepted_at_ms(), waiting.sequence()), (accepted, 2));
    queue.close().await;
}

#[tokio::test]
async fn what_nobody_takes_ends_as_a_dead_letter() {
    let (_, storage) = storage().await;
    submit(&storage, &["one", "two"]).await;
    let mut backlog = storage.async_backlog();
    let waiting = backlog.next(ANY).await.unwrap().unwrap();
    backlog.dead_letter(&waiting, "nobody came").await.unwrap();
    // As if it had been tried again because the outcome was not known.
    backlog.dead_letter(&waiting, "nobody came").await.unwrap();
    let subject = storage.subjects().dead_letter_all();
    let mut letters = storage.event_log(AssetRole::Dead).follow(&subject, Position::Beginning);
    let letter = soon("a dead letter", letters.next()).await;
    let header = |name| letter.header(name).unwrap();
    assert_eq!((letter.payload().as_ref(), header(DEAD_REASON)), (b"one".as_ref(), "nobody came"));
    assert_eq!((header(DEAD_SEQUENCE), header(DEAD_ATTEMPTS)), ("1", "0"));
    assert_eq!(header(DEAD_SUBJECT), storage.subjects().async_infer(&model()));
    assert_eq!(header(DEAD_MESSAGE_ID), "one");
    assert_eq!(storage.event_log(AssetRole::Dead).messages().await.unwrap(), 1);
    assert_eq!(next(&mut storage.async_backlog()).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn what_is_too_large_for_a_letter_loses_its_headers_and_the_end_of_the_reason() {
    let (_, storage) = storage().await;
    let subject = storage.subjects().async_infer(&model());
    // The broker takes 64 KiB of headers, and a letter has some more than the message.
    let headers = Headers::new().with("Note", "x".repeat(65_300));
    storage.event_log(AssetRole::AsyncQueue).resend(&subject, headers, "one").await.unwrap();
    submit(&storage, &["two"]).await;
    let mut backlog = storage.async_backlog();
    let waiting = backlog.next(ANY).await.unwrap().unwrap();
    backlog.dead_letter(&waiting, &"é".repeat(40_000)).await.unwrap();
    let dead = storage.subjects().dead_letter_all();
    let mut letters = storage.event_log(AssetRole::Dead).follow(&dead, Position::Beginning);
    let letter = soon("a dead letter", letters.next()).await;
    assert_eq!(letter.header(DEAD_REASON), Some("é".repeat(512).as_str()));
    assert_eq!((letter.header("Note"), letter.header(DEAD_TRUNCATED)), (None, Some("3")));
    assert_eq!(next(&mut storage.async_backlog()).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_message_in_the_middle_may_be_removed_twice() {
    let (_, storage) = storage().await;
    submit(&storage, &["one", "two", "three"]).await;
    let mut backlog = storage.async_backlog();
    backlog.next(ANY).await.unwrap();
    let middle = backlog.next(ANY).await.unwrap().unwrap();
    backlog.remove(&middle).await.unwrap();
    backlog.remove(&middle).await.unwrap();
    assert_eq!(backlog.look().await.unwrap().messages, 2);
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_read_from_its_beginning() {
    let (connection, storage) = storage().await;
    let subjects: Subjects = storage.subjects().clone();
    let mut backlog = storage.async_backlog();
    assert!(!backlog.look().await.unwrap().is_same, "it is the first one");
    submit(&storage, &["one", "two"]).await;
    assert_eq!(backlog.look().await.unwrap(), Look { messages: 2, is_same: true });
    assert_eq!([next(&mut backlog).await, next(&mut backlog).await].to_vec(), texts(&["one", "two"]));
    let stream = Asset::new(&subjects, AssetRole::AsyncQueue).stream_name();
    let delete = connection.request(format!("$JS.API.STREAM.DELETE.{stream}"), "", Duration::from_secs(10));
    delete.await.unwrap();
    let storage = Storage::provision(&connection, &subjects).await.unwrap();
    // As many as were read of the one before, and more.
    submit(&storage, &["three", "four", "five"]).await;
    assert_eq!(backlog.look().await.unwrap(), Look { messages: 3, is_same: false });
    assert_eq!(next(&mut backlog).await.as_deref(), Some("three"));
}
