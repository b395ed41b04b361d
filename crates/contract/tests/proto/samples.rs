//! One good example of every message, and more where a message has several forms.

mod documents;
mod inference;
mod observation;

use leat_contract::{Digest, Encoding, JobId, ModelName, ModelVersion, RequestId, WorkerId, decode, encode};
use serde::{Serialize, de::DeserializeOwned};

/// Reads some bytes and compares.
pub(crate) type Reads = Box<dyn Fn(&[u8]) -> bool>;

pub(crate) struct Sample {
    /// The file name without its ending.
    pub(crate) name: &'static str,
    /// The message it is an example of.
    pub(crate) message: &'static str,
    pub(crate) json: Vec<u8>,
    pub(crate) messagepack: Vec<u8>,
    /// Whether the MessagePack form has `bin` where JSON has an array.
    pub(crate) holds_binary: bool,
    /// Whether some bytes decode to the value of the sample.
    pub(crate) reads: Reads,
}

pub(crate) fn all() -> Vec<Sample> {
    [inference::all(), documents::all(), observation::all()].into_iter().flatten().collect()
}

pub(crate) fn named(name: &str) -> Sample {
    all().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("no sample {name}"))
}

fn document<T>(name: &'static str, message: &'static str, value: T) -> Sample
where
    T: Serialize + DeserializeOwned + PartialEq + 'static,
{
    Sample {
        name,
        message,
        json: encode(Encoding::Json, &value).unwrap(),
        messagepack: encode(Encoding::MessagePack, &value).unwrap(),
        holds_binary: false,
        reads: Box::new(move |bytes| decode::<T>(bytes).is_ok_and(|(read, _)| read == value)),
    }
}

fn model() -> ModelName {
    ModelName::new("digits").unwrap()
}

fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).unwrap()
}

fn worker() -> WorkerId {
    WorkerId::new("worker-1").unwrap()
}

fn job() -> JobId {
    JobId::new("train-7Q2X").unwrap()
}

fn request_id() -> RequestId {
    RequestId::new("order-17").unwrap()
}

fn digest(digit: char) -> Digest {
    Digest::new(format!("sha256-{}", digit.to_string().repeat(64))).unwrap()
}

/// 2026-11-23 12:00:00 UTC in unix milliseconds.
const NOON: u64 = 1_795_435_200_000;
