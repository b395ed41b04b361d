//! Calls to the storage layer of the broker (JetStream), each one a request with a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::jitter::jittered;
use crate::{Connection, Error, Headers, Message};

/// How long one call may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long calls go on while nobody answers: a broker that starts, or elects a leader, is silent for moments.
const SILENCE_PATIENCE: Duration = Duration::from_secs(5);
const SILENCE_PAUSE: Duration = Duration::from_millis(250);

/// Error codes of the broker that mean something to us.
pub(crate) const STREAM_NOT_FOUND: u64 = 10059;
pub(crate) const CONSUMER_NOT_FOUND: u64 = 10014;
pub(crate) const INSUFFICIENT_STORAGE: u64 = 10047;
pub(crate) const HEADERS_TOO_LARGE: u64 = 10097;
const DELETE_FAILED: u64 = 10057;
const SEQUENCE_NOT_FOUND: u64 = 10043;
pub(crate) const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

/// Headers of a stored message that is read directly, and the one by which a write expects what it replaces.
pub(crate) const SEQUENCE: &str = "Nats-Sequence";
pub(crate) const TIME_STAMP: &str = "Nats-Time-Stamp";
pub(crate) const EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";

/// The storage layer behind a connection.
#[derive(Debug, Clone)]
pub(crate) struct JetStream {
    pub(crate) connection: Connection,
}

#[derive(Deserialize)]
struct Failure {
    error: Option<FailureDetail>,
}

#[derive(Deserialize)]
struct FailureDetail {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// What is read of a stream's description.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    /// When it was made.
    #[serde(default)]
    pub(crate) created: String,
    pub(crate) config: Map<String, Value>,
    pub(crate) state: StreamState,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) messages: u64,
    pub(crate) last_seq: u64,
    /// How many messages each subject has, when that was asked for.
    #[serde(default)]
    subjects: BTreeMap<String, u64>,
}

/// What is read of a consumer's description.
#[derive(Debug, Deserialize)]
pub(crate) struct ConsumerInfo {
    pub(crate) name: String,
    pub(crate) config: Map<String, Value>,
    pub(crate) delivered: Delivered,
    pub(crate) num_pending: u64,
    pub(crate) num_ack_pending: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) stream_seq: u64,
}

impl JetStream {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Calls an operation, for example `STREAM.INFO.LEAT_JOBS`, and reads its answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        request: &Value,
    ) -> Result<T, Error> {
        let payload = if request.is_null() { Bytes::new() } else { Bytes::from(request.to_string()) };
        let subject = Subject::from(format!("$JS.API.{operation}"));
        let message = self.patient(subject, payload).await?;
        read(operation, message.payload())
    }

    pub(crate) async fn stream_info(&self, stream: &str) -> Result<StreamInfo, Error> {
        self.call(&format!("STREAM.INFO.{stream}"), &Value::Null).await
    }

    /// The subjects of a stream that match a filter: as many as the broker gives at once, which is 100 000.
    pub(crate) async fn subjects(&self, stream: &str, filter: &str) -> Result<Vec<String>, Error> {
        let request = json!({ "subjects_filter": filter });
        let info: StreamInfo = self.call(&format!("STREAM.INFO.{stream}"), &request).await?;
        Ok(info.state.subjects.into_keys().collect())
    }

    /// Makes a consumer, or finds the one of the same name and properties.
    pub(crate) async fn create_consumer(&self, stream: &str, config: Value) -> Result<ConsumerInfo, Error> {
        let operation = match config.get("durable_name").and_then(Value::as_str) {
            Some(name) => format!("CONSUMER.DURABLE.CREATE.{stream}.{name}"),
            None => format!("CONSUMER.CREATE.{stream}"),
        };
        self.call(&operation, &json!({ "stream_name": stream, "config": config })).await
    }

    pub(crate) async fn delete_consumer(&self, stream: &str, consumer: &str) -> Result<(), Error> {
        let _: Value = self.call(&format!("CONSUMER.DELETE.{stream}.{consumer}"), &Value::Null).await?;
        Ok(())
    }

    /// Removes every message of a stream on a subject.
    pub(crate) async fn purge(&self, stream: &str, subject: &str) -> Result<(), Error> {
        let _: Value = self.call(&format!("STREAM.PURGE.{stream}"), &json!({ "filter": subject })).await?;
        Ok(())
    }

    /// Removes one message of a stream; it is no error when it is gone already.
    pub(crate) async fn remove_message(&self, stream: &str, sequence: u64) -> Result<(), Error> {
        let request = json!({ "seq": sequence, "no_erase": true });
        match self.call::<Value>(&format!("STREAM.MSG.DELETE.{stream}"), &request).await {
            Err(Error::Storage { code: SEQUENCE_NOT_FOUND, .. }) => Ok(()),
            Err(Error::Storage { code: DELETE_FAILED, description })
                if description.contains("no message found") =>
            {
                Ok(())
            }
            outcome => outcome.map(|_| ()),
        }
    }

    /// The last message of a stream on a subject.
    pub(crate) async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, Error> {
        self.read_directly(format!("{stream}.{subject}"), Bytes::new()).await
    }

    /// One message of a stream, described as in ADR-31.
    pub(crate) async fn direct(&self, stream: &str, which: &Value) -> Result<Option<Message>, Error> {
        self.read_directly(stream.to_owned(), which.to_string().into()).await
    }

    async fn read_directly(&self, what: String, request: Bytes) -> Result<Option<Message>, Error> {
        let message = self.patient(Subject::from(format!("$JS.API.DIRECT.GET.{what}")), request).await?;
        match message.status().map(|status| status.as_u16()) {
            None => Ok(Some(message)),
            Some(404) => Ok(None),
            Some(status) => Err(Error::Storage {
                code: u64::from(status),
                description: format!("reading {what}: {}", message.description().unwrap_or_default()),
            }),
        }
    }

    /// A request that is repeated while nobody answers.
    async fn patient(&self, subject: Subject, payload: Bytes) -> Result<Message, Error> {
        let deadline = Instant::now() + SILENCE_PATIENCE;
        loop {
            let call =
                self.connection.exchange(subject.clone(), Headers::new(), payload.clone(), CALL_TIMEOUT);
            match call.await {
                Err(Error::NoResponders { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(jittered(SILENCE_PAUSE)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Reads an answer, which is either an error or the document.
pub(crate) fn read<T: DeserializeOwned>(operation: &str, payload: &[u8]) -> Result<T, Error> {
    let failure: Failure =
        serde_json::from_slice(payload).map_err(Error::decode(format!("answer to {operation}")))?;
    if let Some(error) = failure.error {
        return Err(refused(operation, error.err_code, error.description));
    }
    serde_json::from_slice(payload).map_err(Error::decode(format!("answer to {operation}")))
}

fn refused(operation: &str, code: u64, description: String) -> Error {
    match code {
        STREAM_NOT_FOUND => Error::Missing { what: format!("the stream of {operation}") },
        CONSUMER_NOT_FOUND => Error::Missing { what: format!("the consumer of {operation}") },
        _ => Error::Storage { code, description: format!("{operation}: {description}") },
    }
}

/// A duration as the broker writes it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_an_error_is_an_error() {
        let answer =
            br#"{"type":"x","error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"}}"#;
        let error = read::<Value>("STREAM.INFO.X", answer).unwrap_err();
        assert!(matches!(error, Error::Storage { code: 10071, .. }), "{error}");
    }

    #[test]
    fn an_answer_that_is_no_document_is_an_error() {
        assert!(matches!(read::<StreamInfo>("STREAM.INFO.X", b"{}"), Err(Error::Decode { .. })));
        assert!(matches!(read::<StreamInfo>("STREAM.INFO.X", b"nonsense"), Err(Error::Decode { .. })));
    }
}
