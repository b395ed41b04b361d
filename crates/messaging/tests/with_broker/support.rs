//! A broker for tests, and waiting on conditions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leat_broker::{Broker, BrokerOptions, Search, find_binary};
use leat_contract::Subjects;
use leat_messaging::{ConnectOptions, Connection, State, Storage};
use tokio::sync::OnceCell;

/// Long enough for a machine with much else to do; reached only by what never happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

static SHARED: OnceCell<Broker> = OnceCell::const_new();

/// A broker of the test's own, which it may kill.
pub(crate) async fn own_broker() -> Broker {
    let binary = find_binary(&Search::from_environment()).await.unwrap();
    Broker::start(&binary, &BrokerOptions::default()).await.unwrap()
}

/// A connection to the broker that tests share.
pub(crate) async fn connection() -> Connection {
    connect(&shared_url().await).await
}

pub(crate) async fn shared_url() -> String {
    SHARED.get_or_init(own_broker).await.url()
}

pub(crate) async fn connect(url: &str) -> Connection {
    Connection::connect(&ConnectOptions::new(url, "test")).await.unwrap()
}

/// Subjects and storage names that no other test has.
pub(crate) fn unique_subjects() -> Subjects {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Subjects::new(&format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap()
}

/// Storage of the test's own on the shared broker.
pub(crate) async fn storage() -> (Connection, Storage) {
    let connection = connection().await;
    let storage = Storage::provision(&connection, &unique_subjects()).await.unwrap();
    (connection, storage)
}

/// Polls until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut pulse = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        while !condition().await {
            pulse.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("never: {what}"),
    }
}

pub(crate) async fn until(connection: &Connection, wanted: State) {
    let mut state = connection.state();
    soon("the state of the connection", state.wait_for(|state| *state == wanted)).await.unwrap();
}
