//! Durable requests that no worker takes.

use leat_contract::headers::{DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SUBJECT};
use leat_contract::{AssetRole, ErrorCode, RequestId};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_request_to_a_model_that_nobody_serves_gets_its_error_and_a_dead_letter() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    hand_in(&sender, "patient", r#"{"id":"patient","instances":[[1,2]]}"#).await;
    hand_in(&sender, "late", r#"{"id":"late","deadline_ms":1,"instances":[[1,2]]}"#).await;
    hand_in(&sender, "broken", "{").await;
    let monitor = Running::start(broker.url()).await;
    let Err(Error::Service(detail)) = result(&sender, "late").await else { panic!("an error was expected") };
    assert_eq!(detail.error_code(), ErrorCode::DeadlineExceeded, "{detail}");
    assert!(detail.to_string().contains("not deployed"), "{detail}");

    let dead = sender.storage.event_log(AssetRole::Dead);
    let mut letters = dead.follow(&sender.subjects.dead_letter_all(), Position::Beginning);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let letter = tokio::time::timeout(PATIENCE, letters.next()).await.unwrap();
        assert_eq!(letter.header(DEAD_SUBJECT), Some(sender.subjects.async_infer(&model()).as_str()));
        let id = letter.header(DEAD_MESSAGE_ID).unwrap().to_owned();
        reasons.push((id, letter.header(DEAD_REASON).unwrap().to_owned()));
    }
    reasons.sort();
    let [(broken, not_json), (late, too_late)] = reasons.try_into().unwrap();
    assert_eq!((broken.as_str(), late.as_str()), ("digits/broken", "digits/late"));
    assert!(not_json.contains("JSON") && too_late.contains("waited for longer"), "{not_json} {too_late}");
    monitor.shows("leat_durable_requests_overdue_total 2").await;
    assert_eq!(waiting(&sender).await, 1, "the one that may wait for a day stays");
    monitor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_deadline_is_ended_after_the_longest_wait() {
    let broker = broker().await;
    let sender = Sender::connect(broker.url()).await;
    let monitor = Running::start_with(broker.url(), |settings| settings.durable_wait_max_ms = 1_000).await;
    // Read while it is not overdue yet.
    hand_in(&sender, "patient", r#"{"id":"patient","instances":[[1,2]]}"#).await;
    let Err(Error::Service(detail)) = result(&sender, "patient").await else {
        panic!("an error was expected")
    };
    assert_eq!(detail.error_code(), ErrorCode::DeadlineExceeded, "{detail}");
    monitor.stop().await;
}
