use std::marker::PhantomData;

use serde::Deserialize;

use super::InferRequest;
use crate::{Encoding, Error, ModelName, RequestId, codec, limits};

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

    /// The id in a payload that is no request, as far as that can be told: whoever waits for its answer is to get the error.
    pub fn id_of(payload: &[u8]) -> Option<RequestId> {
        #[derive(Deserialize)]
        struct Named {
            id: RequestId,
        }
        // A list would be taken for the fields in their order.
        if payload.trim_ascii_start().starts_with(b"[") {
            return None;
        }
        let read = codec::decode_seed(payload, limits::PAYLOAD_BYTES_MAX, PhantomData::<Named>);
        read.ok().map(|(Named { id }, _)| id)
    }

    /// When it has waited for too long, in Unix milliseconds: without a deadline after `wait_max_ms`.
    pub fn waits_until(&self, accepted_at_ms: u64, wait_max_ms: u64) -> u64 {
        accepted_at_ms.saturating_add(self.deadline_ms.unwrap_or(wait_max_ms))
    }

    /// Whether the message with this id holds the answer of the model to a request with the same id, whenever that was accepted.
    pub fn is_answered_by(&self, model: &ModelName, message_id: &str) -> bool {
        let accepted_at_ms = message_id.strip_prefix(&self.answers_prefix(model));
        accepted_at_ms.is_some_and(|accepted| accepted.parse::<u64>().is_ok())
    }

    /// The id of the message that holds its answer, so that a second answer is dropped by the stream. A request that is sent again, for
    /// example after it was given up, is another one.
    pub fn result_message_id(&self, model: &ModelName, accepted_at_ms: u64) -> String {
        format!("{}{accepted_at_ms}", self.answers_prefix(model))
    }

    fn answers_prefix(&self, model: &ModelName) -> String {
        format!("result/{model}/{}/", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_another_id_or_of_another_model_are_not_its_own() {
        let request = DurableRequest::read(br#"{"id":"a","instances":[[1]]}"#).unwrap();
        let model = "tiny".parse().unwrap();
        let own = request.result_message_id(&model, 7);
        assert!(request.is_answered_by(&model, &own), "{own}");
        assert!(
            request.is_answered_by(&model, &request.result_message_id(&model, 8)),
            "it was handed in again"
        );
        for other in ["result/tiny/a/1/7", "result/tiny/b/7", "result/large/a/7", "result/tiny/a/", "a/7", ""]
        {
            assert!(!request.is_answered_by(&model, other), "{other}");
        }
    }

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

    #[test]
    fn the_id_of_what_is_no_request_is_found_where_there_is_one() {
        for json in
            [r#"{"id":"a/1"}"#, r#"{"deadline_ms":0,"id":"a/1","instances":[[1]],"other":{"id":"b"}}"#]
        {
            DurableRequest::read(json.as_bytes()).unwrap_err();
            assert_eq!(DurableRequest::id_of(json.as_bytes()).unwrap().as_str(), "a/1");
            let document: serde_json::Value = serde_json::from_str(json).unwrap();
            let bytes = codec::encode(Encoding::MessagePack, &document).unwrap();
            assert_eq!(DurableRequest::id_of(&bytes).unwrap().as_str(), "a/1");
        }
        for json in ["", "{", r#"{"id":7}"#, r#"{"id":""}"#, r#"["a"]"#, r#"{"other":{"id":"b"}}"#] {
            assert_eq!(DurableRequest::id_of(json.as_bytes()), None, "{json}");
        }
    }
}
