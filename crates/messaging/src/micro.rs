//! The NATS micro protocol (ADR-32), by which `nats micro ls`, `info` and `stats` see a service.
//!
//! It only describes: the service subscribes and answers itself, on whatever connection is right for it, and tells
//! its endpoints' [`EndpointStats`] what happened.

mod endpoint;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use leat_contract::micro::{MicroIdentity, MicroInfo, MicroPing, MicroStats, MicroVerb};
use serde::Serialize;
use tokio::task::JoinHandle;

pub use endpoint::{Detail, EndpointInfo, EndpointStats};

use crate::{Connection, Error, Message, Subscription};

/// Who a service is.
#[derive(Debug, Clone)]
pub struct ServiceInfo {
    /// The kind of service, `[A-Za-z0-9_-]+`.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// What it does, for a person.
    pub description: String,
    /// Facts that do not change while it runs.
    pub metadata: BTreeMap<String, String>,
}

/// A service that answers PING, INFO and STATS until it is stopped or dropped.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    answering: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    identity: MicroIdentity,
    description: String,
    started: String,
    endpoints: Mutex<Vec<Arc<EndpointStats>>>,
}

impl Service {
    /// Starts to answer on the nine subjects of an instance, whose id is `id`.
    ///
    /// Fails when the name is not of the grammar or the connection is lost.
    pub async fn start(connection: &Connection, id: &str, info: ServiceInfo) -> Result<Self, Error> {
        for name in [info.name.as_str(), id] {
            check_name(name)?;
        }
        let mut subscriptions = Vec::new();
        for verb in MicroVerb::ALL {
            for subject in verb.subjects(&info.name, id) {
                subscriptions.push(Tagged { verb, subscription: connection.subscribe(subject).await? });
            }
        }
        let ServiceInfo { name, version, description, metadata } = info;
        let identity = MicroIdentity { name, id: id.to_owned(), version, metadata };
        let started = jiff::Timestamp::now().to_string();
        let shared = Arc::new(Shared { identity, description, started, endpoints: Mutex::default() });
        let questions = select_all(subscriptions.into_iter().map(Tagged::into_stream));
        let answering = tokio::spawn(answer_all(connection.clone(), shared.clone(), questions));
        Ok(Self { shared, answering })
    }

    /// Lists an endpoint from now on. It is removed by [`Service::remove_endpoint`].
    pub fn add_endpoint(&self, info: EndpointInfo) -> Result<Arc<EndpointStats>, Error> {
        check_name(&info.name)?;
        let endpoint = Arc::new(EndpointStats::new(info));
        self.shared.endpoints().push(endpoint.clone());
        Ok(endpoint)
    }

    /// Lists an endpoint no more.
    pub fn remove_endpoint(&self, endpoint: &Arc<EndpointStats>) {
        self.shared.endpoints().retain(|listed| !Arc::ptr_eq(listed, endpoint));
    }

    /// Answers no more.
    pub async fn stop(mut self) {
        self.answering.abort();
        // Aborting is how it ends.
        let _ = (&mut self.answering).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

/// A subscription that knows what is asked on it.
struct Tagged {
    verb: MicroVerb,
    subscription: Subscription,
}

impl Tagged {
    fn into_stream(self) -> futures_util::stream::BoxStream<'static, (MicroVerb, Message)> {
        let verb = self.verb;
        self.subscription.map(move |message| (verb, message)).boxed()
    }
}

async fn answer_all(
    connection: Connection,
    shared: Arc<Shared>,
    mut questions: SelectAll<futures_util::stream::BoxStream<'static, (MicroVerb, Message)>>,
) {
    while let Some((verb, message)) = questions.next().await {
        let (Some(reply), Some(answer)) =
            (message.reply(), shared.answer(verb, connection.payload_bytes_max()))
        else {
            continue;
        };
        if let Err(error) = connection.publish(reply.clone(), answer).await {
            tracing::warn!(%verb, %error, "a question of the micro protocol stays unanswered");
        }
    }
}

impl Shared {
    fn answer(&self, verb: MicroVerb, bytes_max: usize) -> Option<Vec<u8>> {
        let identity = self.identity.clone();
        match verb {
            MicroVerb::Ping => json(&MicroPing::new(identity)),
            MicroVerb::Info => {
                let endpoints = self.endpoints().iter().map(|endpoint| endpoint.describe()).collect();
                json(&MicroInfo::new(identity, self.description.clone(), endpoints))
            }
            MicroVerb::Stats => {
                // What an endpoint says of itself runs its owner's code, which must not run under the lock.
                let listed: Vec<_> = self.endpoints().clone();
                let told = |detail| {
                    let endpoints = listed.iter().map(|endpoint| endpoint.figures(detail)).collect();
                    MicroStats::new(identity.clone(), self.started.clone(), endpoints)
                };
                let full = json(&told(Detail::Full))?;
                if full.len() <= bytes_max {
                    return Some(full);
                }
                let mut stats = told(Detail::Brief);
                let brief = json(&stats)?;
                if brief.len() <= bytes_max {
                    return Some(brief);
                }
                // What every service counts is worth more than silence.
                tracing::warn!(
                    endpoints = listed.len(),
                    "figures of the endpoints are left out, no message holds them"
                );
                stats.endpoints.iter_mut().for_each(|endpoint| endpoint.data = None);
                json(&stats)
            }
        }
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<Arc<EndpointStats>>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Documents of strings and numbers can always be written.
fn json(document: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(document).ok()
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_name {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "service or endpoint name",
        reason: format!("{name:?} is not of [A-Za-z0-9_-]+"),
    })
}
