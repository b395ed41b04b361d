use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InferRequest, Parameters, envelope};

/// What stands in the message of a request whose body is an object: what a worker must know while the body is fetched and the
/// request waits. The object is a whole request in the same encoding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InferReference {
    /// How long the caller waits, in milliseconds counted by the worker from receipt of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Those of the request's options that matter while it waits: `priority`, `timeout` and `sticky_key`.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
}

impl InferReference {
    /// What the message says of a request that is an object.
    pub fn of(request: &InferRequest) -> Self {
        let matters = |name: &&String| envelope::NAMES.contains(&name.as_str());
        let names = request.parameters.keys().filter(matters);
        let parameters = names.filter_map(|name| request.parameters.get_key_value(name));
        Self {
            deadline_ms: request.deadline_ms,
            parameters: parameters.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, Envelope, Instances, Scalar, encode};

    #[test]
    fn a_reference_has_the_envelope_of_its_request_and_nothing_else() {
        let instances = Instances::rows_of(vec![1, 2], vec![1.0, 2.0]).unwrap();
        let mut request = InferRequest { deadline_ms: Some(250), ..InferRequest::instances(instances) };
        let given = [("priority", Scalar::Integer(1)), ("sticky_key", Scalar::Text("user-7".to_owned()))];
        request.parameters.extend(given.map(|(name, value)| (name.to_owned(), value)));
        request.parameters.insert("note".to_owned(), Scalar::Text("x".repeat(1000)));
        let reference = InferReference::of(&request);
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let bytes = encode(encoding, &reference).unwrap();
            assert!(bytes.len() < 100, "{} bytes", bytes.len());
            assert_eq!(Envelope::peek(&bytes), request.envelope().unwrap());
        }
    }
}
