use std::time::{Duration, Instant};

use leat_contract::{Encoding, ErrorCode, ErrorDetail};
use leat_messaging::{ConnectOptions, Connection, Credentials, Error, Headers, State};

use tokio::io::AsyncWriteExt;

use crate::guarded_server::GuardedServer;
use crate::support::{connect, connection, own_broker, shared_url, soon, unique_subjects, until};

fn subject(name: &str) -> String {
    format!("{}.{name}", unique_subjects().prefix())
}

#[tokio::test]
async fn a_request_gets_its_reply() {
    let (client, service) = (connection().await, connection().await);
    let subject = subject("echo");
    let mut requests = service.subscribe(subject.clone()).await.unwrap();
    service.round_trip(Duration::from_secs(5)).await.unwrap();
    let serving = async {
        let request = requests.next().await.unwrap();
        service.publish(request.reply().unwrap().clone(), request.into_payload()).await.unwrap();
    };
    let asking = client.request(subject, "hello", Duration::from_secs(5));
    let (reply, ()) = soon("a reply", async { tokio::join!(asking, serving) }).await;
    assert_eq!(reply.unwrap().payload().as_ref(), b"hello");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let started = Instant::now();
    let outcome = connection().await.request(subject("nobody"), "", Duration::from_secs(20)).await;
    assert!(matches!(outcome, Err(Error::NoResponders { .. })), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn an_unanswered_request_ends_at_its_timeout() {
    let connection = connection().await;
    let subject = subject("silent");
    let _silent = connection.subscribe(subject.clone()).await.unwrap();
    let timeout = Duration::from_millis(200);
    let started = Instant::now();
    let outcome = connection.request(subject, "", timeout).await;
    assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
    assert!(started.elapsed() >= timeout && started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_error_of_a_service_arrives_whole() {
    let connection = connection().await;
    let subject = subject("failing");
    let mut requests = connection.subscribe(subject.clone()).await.unwrap();
    let detail = ErrorDetail::new(ErrorCode::Overloaded, "the queue\nis full").retry_after(40);
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let serving = async {
            let reply = requests.next().await.unwrap().reply().unwrap().clone();
            connection.publish_error(reply, &detail, encoding).await.unwrap();
        };
        let asking = connection.request(subject.clone(), "", Duration::from_secs(20));
        let (outcome, ()) = soon("a reply", async { tokio::join!(asking, serving) }).await;
        assert!(matches!(&outcome, Err(Error::Service(found)) if *found == detail), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_error_of_a_foreign_service_has_its_code() {
    let connection = connection().await;
    let subject = subject("foreign");
    let mut requests = connection.subscribe(subject.clone()).await.unwrap();
    let serving = async {
        let reply = requests.next().await.unwrap().reply().unwrap().clone();
        let headers =
            Headers::new().with("Nats-Service-Error", "teapot").with("Nats-Service-Error-Code", "418");
        connection.publish_with(reply, headers, "").await.unwrap();
    };
    let asking = connection.request(subject, "", Duration::from_secs(20));
    let (outcome, ()) = soon("a reply", async { tokio::join!(asking, serving) }).await;
    let Err(Error::Service(detail)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((detail.code, detail.message.as_str()), (418, "teapot"));
}

#[tokio::test]
async fn a_message_over_the_limit_names_both_sizes() {
    let connection = connection().await;
    let limit = connection.payload_bytes_max();
    let outcome = connection.publish(subject("large"), vec![0_u8; limit + 1]).await;
    let Err(Error::TooLarge { bytes, limit: named }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((bytes, named), (limit + 1, limit));
}

#[tokio::test]
async fn an_impossible_subject_is_an_error() {
    let connection = connection().await;
    for subject in ["", "two words", "line\r\nbreak"] {
        let outcome = connection.publish(subject, "").await;
        assert!(matches!(outcome, Err(Error::Invalid { .. })), "{subject:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn everything_fails_at_once_while_disconnected_and_works_after() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let mut messages = connection.subscribe("kept").await.unwrap();
    broker.kill().await;
    until(&connection, State::Disconnected).await;

    let started = Instant::now();
    for _ in 0..5000 {
        let outcome = connection.publish("kept", "stale").await;
        assert!(matches!(outcome, Err(Error::Disconnected)), "{outcome:?}");
    }
    let outcome = connection.request("kept", "", Duration::from_secs(60)).await;
    assert!(matches!(outcome, Err(Error::Disconnected)), "{outcome:?}");
    assert!(matches!(connection.subscribe("other").await, Err(Error::Disconnected)));
    assert!(matches!(connection.flush(Duration::from_secs(60)).await, Err(Error::Disconnected)));
    assert!(started.elapsed() < Duration::from_secs(20));

    broker.restart().await.unwrap();
    let back = Instant::now();
    until(&connection, State::Connected).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(connection.reconnects(), 1);
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    connection.publish("kept", "fresh").await.unwrap();
    let message = soon("a message", messages.next()).await.unwrap();
    assert_eq!(message.payload().as_ref(), b"fresh");
}

#[tokio::test]
async fn a_request_under_way_fails_when_the_connection_is_lost() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let mut requests = connection.subscribe("silent").await.unwrap();
    let asking = connection.request("silent", "", Duration::from_secs(120));
    let breaking = async {
        requests.next().await.unwrap();
        broker.kill().await;
    };
    let (outcome, ()) = soon("the failure", async { tokio::join!(asking, breaking) }).await;
    assert!(matches!(outcome, Err(Error::Disconnected)), "{outcome:?}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_yet_is_waited_for() {
    let mut broker = own_broker().await;
    broker.kill().await;
    let options = ConnectOptions::new(broker.url(), "test");
    assert!(matches!(Connection::connect(&options).await, Err(Error::Connect { .. })));
    let patient = options.patience(Duration::from_secs(30));
    let (connection, restarted) = tokio::join!(Connection::connect(&patient), broker.restart());
    restarted.unwrap();
    assert!(connection.unwrap().is_connected());
}

#[tokio::test]
async fn credentials_nobody_asked_for_do_no_harm_and_are_not_shown() {
    let mut options = ConnectOptions::new(shared_url().await, "test");
    options.credentials = Credentials::Token("secret".to_owned());
    assert!(!format!("{options:?}").contains("secret"));
    assert!(Connection::connect(&options).await.is_ok());
}

#[tokio::test]
async fn wrong_credentials_are_refused_at_once_and_right_ones_taken() {
    let server = GuardedServer::start("authorization { token: right }").await;
    let mut options = ConnectOptions::new(server.url.clone(), "test").patience(Duration::from_secs(60));
    for wrong in [Credentials::None, Credentials::Token("wrong".to_owned())] {
        options.credentials = wrong;
        let refused = soon("the refusal", Connection::connect(&options)).await;
        assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    }
    options.credentials = Credentials::Token("right".to_owned());
    assert!(Connection::connect(&options).await.unwrap().is_connected());
}

#[tokio::test]
async fn an_old_server_is_refused_with_both_versions() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let greeting =
            b"INFO {\"server_id\":\"old\",\"version\":\"2.9.10\",\"max_payload\":1048576}\r\nPONG\r\n";
        stream.write_all(greeting).await.unwrap();
        stream
    };
    let options = ConnectOptions::new(url, "test");
    let (outcome, _stream) =
        soon("the refusal", async { tokio::join!(Connection::connect(&options), serving) }).await;
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains("2.9.10") && text.contains("2.10.0"), "{text}");
}

#[tokio::test]
async fn a_batch_takes_what_is_there_without_waiting() {
    let connection = connection().await;
    let subject = subject("batch");
    let mut messages = connection.subscribe(subject.clone()).await.unwrap();
    for number in 0_u8..10 {
        connection.publish(subject.clone(), vec![number]).await.unwrap();
    }
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    let mut batch = Vec::new();
    assert_eq!(soon("four", messages.next_batch(&mut batch, 4)).await, 4);
    assert_eq!(soon("six", messages.next_batch(&mut batch, 100)).await, 6);
    let numbers: Vec<u8> = batch.iter().map(|message| message.payload()[0]).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<u8>>());
    assert!(messages.try_next().is_none());
}

#[tokio::test]
async fn members_of_a_group_share_the_messages() {
    let connection = connection().await;
    let subject = subject("shared");
    let mut members = Vec::new();
    for _ in 0..2 {
        members.push(connection.queue_subscribe(subject.clone(), "q").await.unwrap());
    }
    for _ in 0..100 {
        connection.publish(subject.clone(), "").await.unwrap();
    }
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    let mut counts = [0, 0];
    for (member, count) in members.iter_mut().zip(&mut counts) {
        while member.try_next().is_some() {
            *count += 1;
        }
    }
    assert_eq!(counts[0] + counts[1], 100);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[tokio::test]
async fn a_connection_rests_when_its_own_thread_asks_for_it_and_loses_nothing_meanwhile() {
    const REST: Duration = Duration::from_millis(100);
    let connection =
        Connection::connect(&ConnectOptions::new(shared_url().await, "rests").own_thread()).await.unwrap();
    let subject = unique_subjects().prefix().to_owned();
    let mut subscription = connection.subscribe(subject.clone()).await.unwrap();
    connection.round_trip(Duration::from_secs(5)).await.unwrap();
    // Elsewhere it would hold up somebody else.
    connection.rest(Duration::from_secs(3600));
    let resting = connection.clone();
    let rested = connection.runtime().spawn(async move {
        let begun = Instant::now();
        resting.rest(REST);
        begun.elapsed()
    });
    for number in 0..10 {
        connection.publish(subject.clone(), number.to_string()).await.unwrap();
    }
    for number in 0..10 {
        let message = soon("a message", subscription.next()).await.unwrap();
        assert_eq!(message.payload().as_ref(), number.to_string().as_bytes());
    }
    assert!(rested.await.unwrap() >= REST);
}
