//! Publishing into a stream: acknowledged, repeated when that is safe, given up at a deadline.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use leat_contract::headers::MESSAGE_ID;
use serde::Deserialize;
use tokio::time::Instant;

use crate::jetstream::{JetStream, WRONG_LAST_SEQUENCE, read};
use crate::jitter::jittered;
use crate::{Error, Headers};

/// How long a message is tried by default: a restart of the broker passes within it.
pub(crate) const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(250);

/// Where a message was stored.
#[derive(Debug, Clone, Deserialize)]
pub struct Stored {
    /// Its place in the stream.
    #[serde(rename = "seq")]
    pub sequence: u64,
    /// Whether the stream had a message of the same id already and kept that one.
    #[serde(default)]
    pub duplicate: bool,
}

impl JetStream {
    /// Publishes until the broker says that the message is stored.
    ///
    /// While nobody answers or the connection is lost, it is tried again until `patience` is over. After an attempt
    /// whose outcome is unknown it is repeated only when the headers carry a message id, which makes that safe.
    pub(crate) async fn publish(
        &self,
        subject: impl Into<Subject>,
        headers: Headers,
        payload: impl Into<Bytes>,
        patience: Duration,
    ) -> Result<Stored, Error> {
        let (subject, payload) = (subject.into(), payload.into());
        let deadline = Instant::now() + patience;
        let repeatable = headers.get(MESSAGE_ID).is_some();
        loop {
            let attempt =
                self.publish_once(subject.clone(), headers.clone(), payload.clone(), ATTEMPT_TIMEOUT);
            let error = match attempt.await {
                Ok(stored) => return Ok(stored),
                Err(error) => error,
            };
            let was_not_stored =
                matches!(error, Error::NoResponders { .. }) || !self.connection.is_connected();
            let may_repeat = match error {
                Error::NoResponders { .. } => true,
                Error::Disconnected | Error::Timeout { .. } => repeatable || was_not_stored,
                _ => false,
            };
            if !may_repeat || Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(jittered(PAUSE)).await;
        }
    }

    /// One attempt to publish.
    pub(crate) async fn publish_once(
        &self,
        subject: Subject,
        headers: Headers,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Stored, Error> {
        let answer = self.connection.exchange(subject.clone(), headers, payload, timeout).await?;
        read(&format!("publish on {subject}"), answer.payload()).map_err(|error| match error {
            Error::Storage { code, .. } if WRONG_LAST_SEQUENCE.contains(&code) => {
                Error::Conflict { key: subject.into_string() }
            }
            other => other,
        })
    }
}
