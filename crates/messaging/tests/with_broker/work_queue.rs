use std::time::{Duration, Instant};

use leat_contract::assets::{Asset, AssetRole};
use leat_contract::{JobKind, headers};
use leat_messaging::{Connection, Delivery, Error, Headers, Position, Storage, StoredMessage, WorkQueue};
use serde_json::json;

use crate::guarded_server::GuardedServer;
use crate::support::{connect, eventually, own_broker, soon, storage, unique_subjects};

const KIND: JobKind = JobKind::Train;

/// Shortens the time after which silent work is given again, so that tests need not wait for it.
async fn shorten_ack_wait(connection: &Connection, storage: &Storage, ack_wait: Duration) {
    let stream = Asset::new(storage.subjects(), AssetRole::JobQueue).stream_name();
    let config = json!({
        "durable_name": KIND.to_string(), "filter_subject": storage.subjects().job(KIND), "deliver_policy": "all",
        "ack_policy": "explicit", "ack_wait": ack_wait.as_nanos() as u64, "max_deliver": -1, "max_ack_pending": 1000,
        "replay_policy": "instant",
    });
    let operation = format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{KIND}");
    let request = json!({ "stream_name": stream, "config": config }).to_string();
    let reply = connection.request(operation, request, Duration::from_secs(10)).await.unwrap();
    assert!(reply.json::<serde_json::Value>().unwrap().get("error").is_none(), "{reply:?}");
}

async fn submit(storage: &Storage, id: &str) {
    let subject = storage.subjects().job(KIND);
    storage.job_queue(KIND).submit(subject, id, id.to_owned()).await.unwrap();
}

async fn take(queue: &mut WorkQueue) -> Delivery {
    soon("work", async {
        loop {
            if let Some(delivery) = queue.take(Duration::from_secs(5)).await.unwrap() {
                return delivery;
            }
        }
    })
    .await
}

async fn is_empty(queue: &WorkQueue) -> bool {
    let depth = queue.depth().await.unwrap();
    depth.waiting == 0 && depth.in_work == 0
}

async fn dead_letter(storage: &Storage) -> StoredMessage {
    let subject = storage.subjects().dead_letter_all();
    let mut follower = storage.event_log(AssetRole::Dead).follow(&subject, Position::Beginning);
    soon("a dead letter", follower.next()).await
}

#[tokio::test]
async fn work_is_taken_done_and_gone() {
    let (_, storage) = storage().await;
    submit(&storage, "one").await;
    let mut queue = storage.job_queue(KIND);
    let delivery = take(&mut queue).await;
    assert_eq!((delivery.payload().as_ref(), delivery.attempt()), (b"one".as_ref(), 1));
    assert!(!delivery.is_last_attempt());
    delivery.done().await.unwrap();
    assert!(is_empty(&queue).await);
    assert!(queue.take(Duration::from_millis(300)).await.unwrap().is_none());
}

#[tokio::test]
async fn work_submitted_twice_is_there_once() {
    let (_, storage) = storage().await;
    submit(&storage, "one").await;
    submit(&storage, "one").await;
    assert_eq!(storage.job_queue(KIND).depth().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn work_of_another_kind_is_not_taken() {
    let (_, storage) = storage().await;
    submit(&storage, "one").await;
    let mut other = storage.job_queue(JobKind::Compress);
    assert!(other.take(Duration::from_millis(500)).await.unwrap().is_none());
}

#[tokio::test]
async fn one_piece_at_a_time_leaves_the_rest_to_others() {
    let (_, storage) = storage().await;
    for id in ["one", "two", "three"] {
        submit(&storage, id).await;
    }
    let mut queue = storage.job_queue(KIND);
    let first = take(&mut queue).await;
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.in_work), (2, 1));
    first.done().await.unwrap();
}

#[tokio::test]
async fn workers_share_the_work_and_none_is_done_twice() {
    let (_, storage) = storage().await;
    let mut workers = [storage.job_queue(KIND), storage.job_queue(KIND), storage.job_queue(KIND)];
    for number in 0..30 {
        submit(&storage, &number.to_string()).await;
    }
    let mut done = Vec::new();
    while done.len() < 30 {
        for worker in &mut workers {
            if let Some(delivery) = worker.take(Duration::from_millis(200)).await.unwrap() {
                done.push(String::from_utf8(delivery.payload().to_vec()).unwrap());
                delivery.done().await.unwrap();
            }
        }
    }
    done.sort_unstable();
    done.dedup();
    assert_eq!(done.len(), 30);
    assert!(is_empty(&workers[0]).await);
}

#[tokio::test]
async fn work_of_a_worker_that_vanished_is_given_to_another() {
    let (connection, storage) = storage().await;
    shorten_ack_wait(&connection, &storage, Duration::from_secs(1)).await;
    submit(&storage, "one").await;
    drop(take(&mut storage.job_queue(KIND)).await);
    let again = take(&mut storage.job_queue(KIND)).await;
    assert_eq!((again.payload().as_ref(), again.attempt()), (b"one".as_ref(), 2));
    again.done().await.unwrap();
}

#[tokio::test]
async fn work_that_makes_progress_is_kept() {
    let (connection, storage) = storage().await;
    let ack_wait = Duration::from_secs(2);
    shorten_ack_wait(&connection, &storage, ack_wait).await;
    submit(&storage, "one").await;
    let mut worker = storage.job_queue(KIND);
    let delivery = take(&mut worker).await;
    let mut rival = storage.job_queue(KIND);
    let started = Instant::now();
    while started.elapsed() < ack_wait * 3 {
        delivery.progress().await.unwrap();
        assert!(rival.take(Duration::from_millis(500)).await.unwrap().is_none());
    }
    delivery.done().await.unwrap();
    assert!(is_empty(&worker).await);
}

#[tokio::test]
async fn work_given_back_comes_again_after_its_delay() {
    let (_, storage) = storage().await;
    submit(&storage, "one").await;
    let mut queue = storage.job_queue(KIND);
    let delay = Duration::from_secs(2);
    take(&mut queue).await.retry_later(delay, "the disk is full").await.unwrap();
    let given_back = Instant::now();
    let again = take(&mut queue).await;
    assert!(given_back.elapsed() > delay - Duration::from_millis(200), "{:?}", given_back.elapsed());
    assert_eq!(again.attempt(), 2);
    again.done().await.unwrap();
}

#[tokio::test]
async fn work_given_back_in_its_last_attempt_ends_with_the_reason() {
    let (_, storage) = storage().await;
    submit(&storage, "one").await;
    let mut queue = storage.job_queue(KIND);
    for _ in 0..Delivery::ATTEMPTS_MAX {
        take(&mut queue).await.retry_later(Duration::ZERO, "the disk is full").await.unwrap();
    }
    assert!(is_empty(&queue).await);
    assert_eq!(dead_letter(&storage).await.header(headers::DEAD_REASON), Some("the disk is full"));
}

#[tokio::test]
async fn work_given_up_is_kept_with_its_reason() {
    let (_, storage) = storage().await;
    submit(&storage, "one").await;
    let mut queue = storage.job_queue(KIND);
    take(&mut queue).await.dead_letter("the data set\nis empty").await.unwrap();
    assert!(is_empty(&queue).await);
    let letter = dead_letter(&storage).await;
    assert_eq!(letter.payload().as_ref(), b"one");
    assert_eq!(letter.header(headers::DEAD_REASON), Some("the data set is empty"));
    assert_eq!(letter.header(headers::DEAD_SUBJECT), Some(storage.subjects().job(KIND).as_str()));
    assert_eq!(letter.header(headers::DEAD_ATTEMPTS), Some("1"));
    let stream = Asset::new(storage.subjects(), AssetRole::JobQueue).stream_name();
    assert_eq!(letter.header(headers::DEAD_STREAM), Some(stream.as_str()));
}

#[tokio::test]
async fn work_that_kills_every_worker_ends_as_a_dead_letter() {
    let (connection, storage) = storage().await;
    shorten_ack_wait(&connection, &storage, Duration::from_millis(500)).await;
    submit(&storage, "poison").await;
    let mut queue = storage.job_queue(KIND);
    for attempt in 1..=Delivery::ATTEMPTS_MAX {
        let delivery = take(&mut queue).await;
        assert_eq!(
            (delivery.attempt(), delivery.is_last_attempt()),
            (attempt, attempt == Delivery::ATTEMPTS_MAX)
        );
        drop(delivery);
    }
    eventually("no work is left", async || {
        assert!(queue.take(Duration::from_secs(1)).await.unwrap().is_none());
        is_empty(&queue).await
    })
    .await;
    let letter = dead_letter(&storage).await;
    assert_eq!(letter.payload().as_ref(), b"poison");
    assert!(letter.header(headers::DEAD_REASON).unwrap().contains("3 times"));
}

#[tokio::test]
async fn an_attempt_that_ends_in_order_does_not_count() {
    let (connection, storage) = storage().await;
    shorten_ack_wait(&connection, &storage, Duration::from_millis(500)).await;
    submit(&storage, "one").await;
    let mut queue = storage.job_queue(KIND);
    let accepted_at = take(&mut queue).await.accepted_at_ms();
    for _ in 0..2 * Delivery::ATTEMPTS_MAX {
        let delivery = take(&mut queue).await;
        assert_eq!((delivery.attempt(), delivery.accepted_at_ms()), (2, accepted_at));
        delivery.hand_over().await.unwrap();
    }
    drop(take(&mut queue).await);
    let last = take(&mut queue).await;
    assert_eq!((last.attempt(), last.is_last_attempt()), (3, true));
    last.dead_letter("no use").await.unwrap();
    assert!(is_empty(&queue).await);
    let letter = dead_letter(&storage).await;
    assert_eq!(letter.header(headers::DEAD_MESSAGE_ID), Some("one"));
    assert_eq!(letter.header(headers::DEAD_ATTEMPTS), Some("3"));
}

#[tokio::test]
async fn work_that_is_handed_over_twice_is_there_once() {
    let (connection, storage) = storage().await;
    shorten_ack_wait(&connection, &storage, Duration::from_millis(500)).await;
    submit(&storage, "one").await;
    let mut queue = storage.job_queue(KIND);
    let (first, second) = (take(&mut queue).await, take(&mut queue).await);
    assert_eq!(first.sequence(), second.sequence(), "the broker gave it out again");
    first.hand_over().await.unwrap();
    second.hand_over().await.unwrap();
    take(&mut queue).await.done().await.unwrap();
    assert!(is_empty(&queue).await);
}

#[tokio::test]
async fn garbage_near_the_payload_limit_ends_as_a_dead_letter_without_its_content() {
    // The broker's limit is below that of the queue here, so that no room is left for what a dead letter adds.
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().display();
    let server =
        GuardedServer::start(&format!("max_payload: 64KB\njetstream {{ store_dir: \"{store}\" }}")).await;
    let connection = connect(&server.url).await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    let garbage = vec![b'x'; connection.payload_bytes_max() - 200];
    let mut queue = storage.job_queue(KIND);
    queue.submit(storage.subjects().job(KIND), "huge", garbage.clone()).await.unwrap();
    take(&mut queue).await.dead_letter("it is no job").await.unwrap();
    assert!(is_empty(&queue).await);
    let letter = dead_letter(&storage).await;
    assert!(letter.payload().is_empty());
    assert_eq!(letter.header(headers::DEAD_REASON), Some("it is no job"));
    assert_eq!(letter.header(headers::DEAD_TRUNCATED), Some(garbage.len().to_string().as_str()));
    assert_eq!(letter.header(headers::DEAD_MESSAGE_ID), Some("huge"));
}

#[tokio::test]
async fn a_dead_letter_has_the_headers_of_its_message() {
    let (connection, storage) = storage().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let own = Headers::new()
        .with(headers::MESSAGE_ID, "one")
        .with(headers::TRACEPARENT, traceparent)
        .with("Nats-Expected-Last-Sequence", "0");
    connection.publish_with(storage.subjects().job(KIND), own, "one").await.unwrap();
    take(&mut storage.job_queue(KIND)).await.dead_letter("no use").await.unwrap();
    let letter = dead_letter(&storage).await;
    assert_eq!(letter.header(headers::TRACEPARENT), Some(traceparent));
    assert_eq!(letter.header(headers::DEAD_MESSAGE_ID), Some("one"));
    assert_eq!(letter.header("Nats-Expected-Last-Sequence"), None);
    assert_eq!(letter.header(headers::DEAD_TRUNCATED), None);
}

#[tokio::test]
async fn a_consumer_that_was_deleted_is_missing_for_who_waits_and_for_who_comes() {
    let (connection, storage) = storage().await;
    let stream = Asset::new(storage.subjects(), AssetRole::JobQueue).stream_name();
    let mut queue = storage.job_queue(KIND);
    // The pull waits at the server when the consumer goes.
    assert!(queue.take(Duration::from_millis(50)).await.unwrap().is_none());
    let operation = format!("$JS.API.CONSUMER.DELETE.{stream}.{KIND}");
    connection.request(operation, "", Duration::from_secs(10)).await.unwrap();
    for _ in 0..2 {
        let error = soon("an error", queue.take(Duration::from_secs(1))).await.unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_broker_whose_storage_does_not_answer_is_asked_again() {
    let server = GuardedServer::start("").await;
    let connection = connect(&server.url).await;
    let mut queue = Storage::open(&connection, &unique_subjects()).job_queue(KIND);
    // Nothing is known yet when the last pull was sent just before the end.
    let refused = async {
        loop {
            if let Err(error) = queue.take(Duration::from_millis(600)).await {
                return error;
            }
        }
    };
    let error = soon("an error", refused).await;
    assert!(matches!(error, Error::Storage { code: 503, .. }) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_take_that_was_given_up_loses_nothing() {
    let (_, storage) = storage().await;
    let mut queue = storage.job_queue(KIND);
    for _ in 0..5 {
        // The pull goes on at the server after this.
        assert!(queue.take(Duration::from_millis(50)).await.unwrap().is_none());
    }
    submit(&storage, "one").await;
    let delivery = take(&mut queue).await;
    assert_eq!(delivery.attempt(), 1);
    delivery.done().await.unwrap();
}

#[tokio::test]
async fn a_closed_queue_gives_back_what_it_asked_for() {
    let (_, storage) = storage().await;
    let mut closing = storage.job_queue(KIND);
    assert!(closing.take(Duration::from_millis(50)).await.unwrap().is_none());
    submit(&storage, "one").await;
    soon("the end of the queue", closing.close()).await;
    let mut other = storage.job_queue(KIND);
    let started = Instant::now();
    take(&mut other).await.done().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "it waited for the ack wait: {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn work_that_only_closed_queues_got_was_never_attempted() {
    let (_, storage) = storage().await;
    let mut closing = Vec::new();
    for _ in 0..2 * Delivery::ATTEMPTS_MAX {
        let mut queue = storage.job_queue(KIND);
        assert!(queue.take(Duration::from_millis(50)).await.unwrap().is_none());
        closing.push(tokio::spawn(async move { queue.close().await }));
    }
    submit(&storage, "one").await;
    for closed in closing {
        soon("the end of the queue", closed).await.unwrap();
    }
    let delivery = take(&mut storage.job_queue(KIND)).await;
    assert_eq!((delivery.payload().as_ref(), delivery.attempt()), (b"one".as_ref(), 1));
    delivery.done().await.unwrap();
}

#[tokio::test]
async fn work_survives_a_crash_of_the_broker() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    let mut queue = storage.job_queue(KIND);
    submit(&storage, "one").await;
    submit(&storage, "two").await;
    let in_hand = take(&mut queue).await;
    broker.restart().await.unwrap();
    let back = Instant::now();
    in_hand.done().await.unwrap();
    let second = take(&mut queue).await;
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    assert_eq!(second.payload().as_ref(), b"two");
    second.done().await.unwrap();
    assert!(is_empty(&queue).await);
}

#[tokio::test]
async fn a_consumer_from_which_nobody_takes_is_forgotten_and_what_waits_is_not() {
    let (connection, storage) = storage().await;
    let model = "digits".parse().unwrap();
    let mut queue = storage.async_queue(&model);
    queue.prepare().await.unwrap();
    let stream = Asset::new(storage.subjects(), AssetRole::AsyncQueue).stream_name();
    let ask = async |operation: &str, body: String| {
        let operation = format!("$JS.API.CONSUMER.{operation}.{stream}.{model}");
        let reply = connection.request(operation, body, Duration::from_secs(10)).await.unwrap();
        reply.json::<serde_json::Value>().unwrap()
    };
    let mut config = ask("INFO", String::new()).await["config"].clone();
    assert_eq!(config["inactive_threshold"], 604_800_000_000_000_u64, "a week in nanoseconds");
    queue.submit(storage.subjects().async_infer(&model), "one", "one".to_owned()).await.unwrap();
    // A week is too long for a test.
    config["inactive_threshold"] = 100_000_000.into();
    let request = json!({ "stream_name": stream, "config": config }).to_string();
    assert!(ask("DURABLE.CREATE", request).await["error"].is_null());
    eventually("the consumer is forgotten", || async {
        ask("INFO", String::new()).await["error"]["code"] == 404
    })
    .await;
    queue.prepare().await.unwrap();
    assert_eq!(take(&mut queue).await.payload().as_ref(), b"one");
}

/// A broker that is killed can lose the newest deliveries of a consumer; a consumer made anew has lost all.
#[tokio::test]
async fn work_can_be_ended_although_the_broker_forgot_who_has_it() {
    let (connection, storage) = storage().await;
    for id in ["done", "dead", "back"] {
        submit(&storage, id).await;
    }
    let mut queue = storage.job_queue(KIND);
    let (done, dead, back) = (take(&mut queue).await, take(&mut queue).await, take(&mut queue).await);
    let stream = Asset::new(storage.subjects(), AssetRole::JobQueue).stream_name();
    let operation = format!("$JS.API.CONSUMER.DELETE.{stream}.{KIND}");
    connection.request(operation, "", Duration::from_secs(10)).await.unwrap();
    Storage::provision(&connection, storage.subjects()).await.unwrap();

    done.done().await.unwrap();
    dead.dead_letter("no use").await.unwrap();
    back.retry_later(Duration::ZERO, "later").await.unwrap();
    let mut queue = storage.job_queue(KIND);
    let again = take(&mut queue).await;
    assert_eq!(again.payload().as_ref(), b"back");
    again.done().await.unwrap();
    assert!(is_empty(&queue).await);
}

#[tokio::test]
async fn a_submission_bridges_a_short_absence_of_the_broker() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    let queue = storage.job_queue(KIND);
    broker.kill().await;
    let subject = storage.subjects().job(KIND);
    let submitting = queue.submit(subject, "one", "one");
    let (stored, restarted) = tokio::join!(submitting, broker.restart());
    restarted.unwrap();
    assert_eq!(stored.unwrap().sequence, 1);
}
