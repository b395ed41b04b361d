//! What tests share: a real broker of their own on a free port, a collector of traces, and waiting for a condition instead of for a time.
//!
//! Nothing here stands in for a part of Leat; it only starts and waits.

mod collector;
mod job_desk;

use std::future::Future;
use std::time::Duration;

use leat_broker::{Broker, BrokerOptions, Search, find_binary};

pub use collector::{Collector, Received};
pub use job_desk::JobDesk;

/// How long [`eventually`] waits: far more than anything takes on a loaded machine, so that only a defect ends it.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// A broker with JetStream on a free loopback port and a store of its own, gone when dropped.
///
/// # Panics
/// When no server can be found, fetched or started.
pub async fn broker() -> Broker {
    let binary = find_binary(&Search::from_environment()).await;
    let binary = binary.unwrap_or_else(|error| fail(&format!("no broker for this test: {error}")));
    let broker = Broker::start(&binary, &BrokerOptions::default()).await;
    broker.unwrap_or_else(|error| fail(&format!("the broker for this test does not start: {error}")))
}

/// Asks `probe` again and again until it gives a value.
///
/// # Panics
/// When it gives none within [`PATIENCE`]; the message says `what` was waited for.
pub async fn eventually<T, F>(what: &str, probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    within(PATIENCE, what, probe).await
}

/// [`eventually`] with a limit of the caller's, where the limit itself is what is promised.
///
/// # Panics
/// When there is no value within `limit`.
pub async fn within<T, F>(limit: Duration, what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let polling = async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(limit, polling).await {
        Ok(value) => value,
        Err(_) => fail(&format!("waited {limit:?} in vain until {what}")),
    }
}

#[expect(clippy::panic, reason = "a test fails by panicking")]
fn fail(message: &str) -> ! {
    panic!("{message}")
}
