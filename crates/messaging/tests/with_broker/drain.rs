use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use leat_messaging::{ConnectOptions, Connection, Error, State, Subscription};

use crate::delayed_line::DelayedLine;
use crate::support::{connection, eventually, own_broker, shared_url, soon, unique_subjects, until};

async fn ingest(url: &str) -> Connection {
    let mut options = ConnectOptions::new(url, "ingest").own_thread();
    // Room for what a fast machine sends while a member with a slow line leaves.
    options.subscription_capacity = 65_536;
    Connection::connect(&options).await.unwrap()
}

/// Sends numbers without a pause until told to stop; gives how many.
async fn send_continuously(subject: String, enough: Arc<AtomicBool>, sent: Arc<AtomicU32>) -> u32 {
    let producer = connection().await;
    while !enough.load(Ordering::Relaxed) {
        let number = sent.load(Ordering::Relaxed);
        producer.publish(subject.clone(), number.to_le_bytes().to_vec()).await.unwrap();
        sent.store(number + 1, Ordering::Relaxed);
        if number.is_multiple_of(16) {
            producer.round_trip(Duration::from_secs(20)).await.unwrap();
        }
    }
    producer.round_trip(Duration::from_secs(20)).await.unwrap();
    sent.load(Ordering::Relaxed)
}

async fn collect(mut member: Subscription) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(message) = member.next().await {
        numbers.push(u32::from_le_bytes(message.payload().as_ref().try_into().unwrap()));
    }
    numbers
}

/// One member leaves the group under load, again and again; another one stays. Nothing may be missing.
async fn leave_under_load(leavers_url: &str) {
    let subject = format!("{}.load", unique_subjects().prefix());
    let staying = ingest(&shared_url().await).await;
    let stays = staying.queue_subscribe(subject.clone(), "q").await.unwrap();
    staying.round_trip(Duration::from_secs(20)).await.unwrap();
    let (enough, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let producing = tokio::spawn(send_continuously(subject.clone(), enough.clone(), sent.clone()));
    let rest = tokio::spawn(collect(stays));

    let mut received = BTreeSet::new();
    for _ in 0..5 {
        let leaving = ingest(leavers_url).await;
        let mut leaves = leaving.queue_subscribe(subject.clone(), "q").await.unwrap();
        leaving.round_trip(Duration::from_secs(20)).await.unwrap();
        let before = sent.load(Ordering::Relaxed);
        eventually("some load", async || sent.load(Ordering::Relaxed) > before + 500).await;
        leaves.drain(Duration::from_secs(20)).await.unwrap();
        received.extend(soon("the end of a drained subscription", collect(leaves)).await);
    }
    let taken_by_leavers = received.len();
    enough.store(true, Ordering::Relaxed);
    let sent = producing.await.unwrap();
    staying.drain(Duration::from_secs(20)).await.unwrap();
    received.extend(rest.await.unwrap());
    let missing: Vec<u32> = (0..sent).filter(|number| !received.contains(number)).collect();
    assert!(
        missing.is_empty(),
        "{} of {sent} are missing: {:?}",
        missing.len(),
        &missing[..missing.len().min(20)]
    );
    assert!(taken_by_leavers > 100, "the leavers had only {taken_by_leavers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_when_a_member_leaves_under_load() {
    leave_under_load(&shared_url().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_when_a_member_far_away_leaves_under_load() {
    let line = DelayedLine::start(&shared_url().await, Duration::from_millis(30)).await;
    leave_under_load(&line.url).await;
}

#[tokio::test]
async fn a_drained_connection_delivers_what_it_has_and_closes() {
    let (ingest, producer) = (ingest(&shared_url().await).await, connection().await);
    let subject = format!("{}.close", unique_subjects().prefix());
    let mut messages = ingest.subscribe(subject.clone()).await.unwrap();
    ingest.round_trip(Duration::from_secs(5)).await.unwrap();
    for _ in 0..100 {
        producer.publish(subject.clone(), "").await.unwrap();
    }
    producer.round_trip(Duration::from_secs(5)).await.unwrap();
    ingest.drain(Duration::from_secs(10)).await.unwrap();
    until(&ingest, State::Closed).await;
    let mut batch = Vec::new();
    while soon("the end", messages.next_batch(&mut batch, 1000)).await > 0 {}
    assert_eq!(batch.len(), 100);
    assert!(ingest.publish(subject, "").await.is_err());
}

#[tokio::test]
async fn what_was_published_before_a_drain_is_sent() {
    let (leaving, staying) = (connection().await, connection().await);
    let subject = format!("{}.sent", unique_subjects().prefix());
    let mut messages = staying.subscribe(subject.clone()).await.unwrap();
    staying.round_trip(Duration::from_secs(5)).await.unwrap();
    for _ in 0..500 {
        leaving.publish(subject.clone(), vec![0_u8; 1000]).await.unwrap();
    }
    leaving.drain(Duration::from_secs(10)).await.unwrap();
    for _ in 0..500 {
        soon("a message", messages.next()).await.unwrap();
    }
}

#[tokio::test]
async fn a_drain_while_disconnected_fails_at_once_and_leaves_the_subscription() {
    let mut broker = own_broker().await;
    let ingest = ingest(&broker.url()).await;
    let mut messages = ingest.subscribe("kept").await.unwrap();
    broker.kill().await;
    until(&ingest, State::Disconnected).await;
    let outcome = soon("the failure", messages.drain(Duration::from_secs(120))).await;
    assert!(matches!(outcome, Err(Error::Disconnected)), "{outcome:?}");
    broker.restart().await.unwrap();
    until(&ingest, State::Connected).await;
    messages.drain(Duration::from_secs(20)).await.unwrap();
    assert!(soon("the end", messages.next()).await.is_none());
}
