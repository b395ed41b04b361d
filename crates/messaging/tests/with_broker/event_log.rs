use leat_contract::assets::AssetRole;
use leat_contract::{JobEventKind, JobId};
use leat_messaging::{EventLog, Follower, Position, Storage};

use crate::support::{connect, own_broker, soon, storage, unique_subjects};

struct Events {
    log: EventLog,
    subject: String,
    filter: String,
}

fn events(storage: &Storage, job: &str) -> Events {
    let job: JobId = job.parse().unwrap();
    let subjects = storage.subjects();
    let log = storage.event_log(AssetRole::Events);
    Events {
        log,
        subject: subjects.job_event(&job, JobEventKind::Progress),
        filter: subjects.job_events(&job),
    }
}

impl Events {
    async fn publish(&self, text: &str) -> u64 {
        self.log.publish(self.subject.clone(), Some(text), text.to_owned()).await.unwrap().sequence
    }

    fn follow(&self, from: Position) -> Follower {
        self.log.follow(&self.filter, from)
    }
}

async fn next(follower: &mut Follower) -> String {
    let message = soon("an event", follower.next()).await;
    String::from_utf8(message.payload().to_vec()).unwrap()
}

#[tokio::test]
async fn a_follower_begins_where_it_is_told() {
    let (_, storage) = storage().await;
    let events = events(&storage, "job-1");
    let first = events.publish("one").await;
    events.publish("two").await;
    assert_eq!(next(&mut events.follow(Position::Beginning)).await, "one");
    assert_eq!(next(&mut events.follow(Position::After(first))).await, "two");
    assert_eq!(next(&mut events.follow(Position::LastPerSubject)).await, "two");
    let mut now = events.follow(Position::Now);
    soon("the beginning", now.begun()).await;
    events.publish("three").await;
    assert_eq!(next(&mut now).await, "three");
}

#[tokio::test]
async fn a_follower_sees_only_what_matches_in_order() {
    let (_, storage) = storage().await;
    let (mine, other) = (events(&storage, "mine"), events(&storage, "other"));
    for number in 0..600 {
        mine.publish(&format!("mine {number}")).await;
        if number % 100 == 0 {
            other.publish(&format!("other {number}")).await;
        }
    }
    let mut follower = mine.follow(Position::Beginning);
    for number in 0..600 {
        assert_eq!(next(&mut follower).await, format!("mine {number}"));
    }
}

#[tokio::test]
async fn an_event_published_twice_is_there_once() {
    let (_, storage) = storage().await;
    let events = events(&storage, "job-1");
    events.publish("one").await;
    let again = events.log.publish(events.subject.clone(), Some("one"), "one").await.unwrap();
    assert!(again.duplicate);
    assert_eq!(events.log.messages().await.unwrap(), 1);
}

#[tokio::test]
async fn a_listing_ends() {
    let (_, storage) = storage().await;
    let events = events(&storage, "job-1");
    assert!(soon("a listing", events.follow(Position::Beginning).take_stored(10)).await.unwrap().is_empty());
    for text in ["one", "two", "three"] {
        events.publish(text).await;
    }
    assert_eq!(soon("a listing", events.follow(Position::Beginning).take_stored(10)).await.unwrap().len(), 3);
    assert_eq!(soon("a listing", events.follow(Position::Beginning).take_stored(2)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn following_goes_on_after_restarts_of_the_broker_without_loss_or_repetition() {
    let mut broker = own_broker().await;
    let connection = connect(&broker.url()).await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    let events = events(&storage, "job-1");
    let mut follower = events.follow(Position::Beginning);
    let mut expected = 0..;
    let mut published = 0;
    for _ in 0..3 {
        for _ in 0..5 {
            events.publish(&format!("event {published}")).await;
            published += 1;
        }
        // Some are read before the crash, some after it.
        for _ in 0..3 {
            assert_eq!(next(&mut follower).await, format!("event {}", expected.next().unwrap()));
        }
        broker.restart().await.unwrap();
    }
    while expected.start < published {
        assert_eq!(next(&mut follower).await, format!("event {}", expected.next().unwrap()));
    }
}
