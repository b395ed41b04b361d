//! A broker, and settings that reach it.

use std::future::Future;
use std::time::Duration;

use leat_broker::{Broker, BrokerOptions, Search, find_binary};
use leat_contract::Subjects;
use leat_messaging::{ConnectOptions, Connection};
use leat_service_runtime::Settings;

use crate::echo::EchoSettings;

/// Long enough for a machine under load; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn start() -> Broker {
    start_with(BrokerOptions::default()).await
}

pub(crate) async fn start_with(options: BrokerOptions) -> Broker {
    let binary = find_binary(&Search::from_environment()).await.unwrap();
    Broker::start(&binary, &options).await.unwrap()
}

pub(crate) fn settings(url: &str, instance: &str) -> Settings<EchoSettings> {
    let mut settings = Settings::<EchoSettings>::default();
    settings.nats.url = url.to_owned();
    settings.nats.instance = Some(instance.parse().unwrap());
    settings
}

pub(crate) async fn client(url: &str) -> Connection {
    Connection::connect(&ConnectOptions::new(url, "test client").patience(PATIENCE)).await.unwrap()
}

pub(crate) fn subjects() -> Subjects {
    Subjects::new("leat").unwrap()
}

/// Waits until an attempt gives something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let trying = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            if let Some(found) = attempt().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}
