use super::InferRequest;
use crate::{Encoding, Error, ModelName, RequestId};

/// What must be known of a durable request besides its data: how its answer is found, and how long it may wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableRequest {
    /// Names the subject of its answer.
    pub id: RequestId,
    /// How its answer is encoded.
    pub encoding: Encoding,
    /// How long it may wait, in milliseconds from acceptance.
    pub deadline_ms: Option<u64>,
}

impl DurableRequest {
    /// Reads a whole request, so that whatever is wrong with it is known before anybody is asked.
    ///
    /// # Errors
    /// Those of [`InferRequest::decode`], and [`Error::Invalid`] when it has no id.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let (InferRequest { id, deadline_ms, .. }, encoding) = InferRequest::decode(payload)?;
        let id = id.ok_or_else(|| Error::invalid("id", "a durable request needs an id"))?;
        Ok(Self { id, encoding, deadline_ms })
    }

    /// When it has waited for too long, in Unix milliseconds: without a deadline after `wait_max_ms`.
    pub fn waits_until(&self, accepted_at_ms: u64, wait_max_ms: u64) -> u64 {
        accepted_at_ms.saturating_add(self.deadline_ms.unwrap_or(wait_max_ms))
    }

    /// The id of the message that holds its answer, so that a second answer is dropped by the stream. A request that is sent again, for
    /// example after it was given up, is another one.
    pub fn result_message_id(&self, model: &ModelName, accepted_at_ms: u64) -> String {
        format!("result/{model}/{}/{accepted_at_ms}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_with_its_id_and_its_deadline_and_refused_without_an_id() {
        let request = DurableRequest::read(br#"{"id":"a/1","deadline_ms":250,"instances":[[1]]}"#).unwrap();
        assert_eq!((request.id.as_str(), request.encoding), ("a/1", Encoding::Json));
        assert_eq!(request.waits_until(1000, 9000), 1250);
        assert_eq!(request.result_message_id(&"tiny".parse().unwrap(), 7), "result/tiny/a/1/7");
        let patient = DurableRequest { deadline_ms: None, ..request };
        assert_eq!(
            (patient.waits_until(1000, 9000), patient.waits_until(u64::MAX, 9000)),
            (10_000, u64::MAX)
        );
        let nameless = DurableRequest::read(br#"{"instances":[[1]]}"#).unwrap_err().to_string();
        assert!(nameless.contains("needs an id"), "{nameless}");
        DurableRequest::read(b"{").unwrap_err();
    }
}
