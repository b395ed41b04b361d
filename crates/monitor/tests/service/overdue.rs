//! Durable requests that no worker takes.

use leat_contract::headers::{DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SUBJECT};
use leat_contract::{AssetRole, DurableRequest, ErrorCode, RequestId};
use leat_messaging::{Error, Position};
use leat_test_harness::{PATIENCE, broker, eventually};

use crate::support::{Running, Sender, model};

async fn hand_in(sender: &Sender, id: &str, payload: &str) {
    let queue = sender.storage.async_queue(&model());
    let subject = sender.subjects.async_infer(&model());
    queue.submit(subject, &format!("{}/{id}", model()), payload.to_owned()).await.unwrap();
}

async fn result(sender: &Sender, id: &str) -> Result<(), Error> {
    let subject = sender.subjects.result(&id.parse::<RequestId>().unwrap());
    let log = sender.storage.event_log(AssetRole::Results);
    eventually("there is a result", || async {
        match log.last_reply(&subject).await {
            Ok(None) => None,
            Ok(Some(_)) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    })
    .await
}

async fn waiting(sender: &Sender) -> u64 {
    sender.storage.event_log(AssetRole::AsyncQueue).messages().await.unwrap()
}

/// Waits for so many letters, and gives the id and the reason of each, in the order of the ids.
async fn letters(sender: &Sender, count: usize) -> Vec<(String, String)> {
    let dead = sender.storage.event_log(AssetRole::Dead);
    let mut follower = dead.follow(&sender.subjects.dead_letter_all(), Position::Beginning);
    let mut letters = Vec::new();
    for _ in 0..count {
        let letter = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap();
        assert_eq!(letter.header(DEAD_SUBJECT), Some(sender.subjects.async_infer(&model()).as_str()));
        let header = |name| letter.header(name).unwrap().to_owned();
        letters.push((header(DEAD_MESSAGE_ID), header(DEAD_REASON)));
    }
    letters.sort();
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_request_to_a_model_that_nobody_serves_gets_its_error_and_a_dead_letter() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    hand_in(&sender, "patient", r#"{"id":"patient","instances":[[1,2]]}"#).await;
    hand_in(&sender, "late", r#"{"id":"late","deadline_ms":1,"instances":[[1,2]]}"#).await;
    let monitor = Running::start(broker.url()).await;
    let Err(Error::Service(detail)) = result(&sender, "late").await else { panic!("an error was expected") };
    assert_eq!(detail.error_code(), ErrorCode::DeadlineExceeded, "{detail}");
    let [(late, reason)] = letters(&sender, 1).await.try_into().unwrap();
    assert_eq!(late, "digits/late");
    assert!(reason.contains("not deployed") && detail.to_string() == reason, "{reason} {detail}");
    monitor.shows("leat_durable_requests_overdue_total 1").await;
    assert_eq!(waiting(&sender).await, 1, "the one that may wait for a day stays");
    monitor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_deadline_and_those_that_cannot_be_read_are_ended_after_the_longest_wait() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    let monitor = Running::start_with(broker.url(), |settings| settings.durable_wait_max_ms = 1_000).await;
    hand_in(&sender, "patient", r#"{"id":"patient","instances":[[1,2]]}"#).await;
    hand_in(&sender, "broken", "{").await;
    let Err(Error::Service(detail)) = result(&sender, "patient").await else {
        panic!("an error was expected")
    };
    assert_eq!(detail.error_code(), ErrorCode::DeadlineExceeded, "{detail}");
    let [(broken, not_json), (patient, too_late)] = letters(&sender, 2).await.try_into().unwrap();
    assert_eq!((broken.as_str(), patient.as_str()), ("digits/broken", "digits/patient"));
    assert!(not_json.contains("JSON") && too_late.contains("waited for longer"), "{not_json} {too_late}");
    monitor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_request_that_is_still_there_is_removed_and_keeps_its_answer() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    let payload = r#"{"id":"answered","deadline_ms":1,"instances":[[1,2]]}"#;
    hand_in(&sender, "answered", payload).await;
    // A worker that ended between its answer and the end of the request.
    let waiting_request = sender.storage.async_backlog().next(u64::MAX).await.unwrap().unwrap();
    let request = DurableRequest::read(payload.as_bytes()).unwrap();
    let id = request.result_message_id(&model(), waiting_request.accepted_at_ms());
    let results = sender.storage.event_log(AssetRole::Results);
    results.publish(sender.subjects.result(&request.id), Some(&id), r#"{"predictions":[]}"#).await.unwrap();
    let monitor = Running::start(broker.url()).await;
    eventually("it is gone", || async { (waiting(&sender).await == 0).then_some(()) }).await;
    monitor.stop().await;
    assert!(result(&sender, "answered").await.is_ok());
    assert_eq!(sender.storage.event_log(AssetRole::Dead).messages().await.unwrap(), 0);
}
