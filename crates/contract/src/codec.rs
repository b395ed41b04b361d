//! JSON or MessagePack, told apart by the first byte.

use std::{fmt, marker::PhantomData};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeSeed};

use crate::{Error, limits};

/// Most messages are no longer.
pub(crate) const USUAL_BYTES: usize = 256;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// JSON in UTF-8 (RFC 8259).
    Json,
    /// MessagePack, structures as maps with named fields, bulk numbers as `bin`.
    MessagePack,
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Json => "JSON",
            Self::MessagePack => "MessagePack",
        })
    }
}

impl Encoding {
    /// The encoding of a message by its first byte: white space, `{` or `[` begin JSON; `0x80` to `0x8f`, `0xde` and `0xdf`
    /// begin a MessagePack map.
    ///
    /// # Errors
    /// [`Error::UnknownEncoding`] for an empty payload and any other byte.
    pub fn detect(payload: &[u8]) -> Result<Self, Error> {
        match payload.first() {
            Some(b'{' | b'[' | b' ' | b'\t' | b'\n' | b'\r') => Ok(Self::Json),
            Some(0x80..=0x8f | 0xde | 0xdf) => Ok(Self::MessagePack),
            first => Err(Error::UnknownEncoding { first: first.copied() }),
        }
    }
}

/// Writes a value.
///
/// # Errors
/// [`Error::Unencodable`] when the value has no form in the encoding, for example a map whose keys are no strings.
pub fn encode<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Result<Vec<u8>, Error> {
    encode_into(Vec::with_capacity(USUAL_BYTES), encoding, value)
}

/// As [`encode`], behind what is in `bytes`: whoever knows about how long it will be saves that it grows by doubling.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    mut bytes: Vec<u8>,
    encoding: Encoding,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let written = match encoding {
        Encoding::Json => serde_json::to_writer(&mut bytes, value).map_err(|error| error.to_string()),
        Encoding::MessagePack => {
            rmp_serde::encode::write_named(&mut bytes, value).map_err(|error| error.to_string())
        }
    };
    written.map(|()| bytes).map_err(|reason| Error::Unencodable { encoding, reason })
}

/// Reads a document strictly and says how it was written. Requests for inference have [`crate::InferRequest::decode`].
///
/// # Errors
/// [`Error::TooLarge`] over [`limits::DOCUMENT_BYTES_MAX`], [`Error::UnknownEncoding`], and [`Error::Undecodable`] for
/// anything that is not exactly one value of the type: wrong fields, trailing bytes, deep nesting.
pub fn decode<'payload, T: Deserialize<'payload>>(payload: &'payload [u8]) -> Result<(T, Encoding), Error> {
    decode_seed(payload, limits::DOCUMENT_BYTES_MAX, PhantomData)
}

/// Reads a document strictly that is always JSON.
///
/// # Errors
/// As [`decode`].
pub fn decode_json<'payload, T: Deserialize<'payload>>(payload: &'payload [u8]) -> Result<T, Error> {
    check_size(payload, limits::DOCUMENT_BYTES_MAX)?;
    from_json(payload, PhantomData)
}

pub(crate) fn decode_seed<'payload, S: DeserializeSeed<'payload>>(
    payload: &'payload [u8],
    bytes_max: usize,
    seed: S,
) -> Result<(S::Value, Encoding), Error> {
    check_size(payload, bytes_max)?;
    let encoding = Encoding::detect(payload)?;
    let value = match encoding {
        Encoding::Json => from_json(payload, seed)?,
        Encoding::MessagePack => from_messagepack(payload, seed)?,
    };
    Ok((value, encoding))
}

fn check_size(payload: &[u8], bytes_max: usize) -> Result<(), Error> {
    if payload.len() <= bytes_max {
        return Ok(());
    }
    Err(Error::TooLarge { what: "payload in bytes", found: payload.len() as u64, limit: bytes_max as u64 })
}

fn from_json<'payload, S: DeserializeSeed<'payload>>(
    payload: &'payload [u8],
    seed: S,
) -> Result<S::Value, Error> {
    // Its own nesting limit of 127 bounds the stack.
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let value = seed.deserialize(&mut deserializer);
    value
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Error::Undecodable { encoding: Encoding::Json, reason: error.to_string() })
}

fn from_messagepack<'payload, S: DeserializeSeed<'payload>>(
    payload: &'payload [u8],
    seed: S,
) -> Result<S::Value, Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(payload);
    // It refuses the value that would reach the limit.
    deserializer.set_max_depth(limits::NESTING_MAX + 1);
    let undecodable = |reason: String| Error::Undecodable { encoding: Encoding::MessagePack, reason };
    let value = seed.deserialize(&mut deserializer).map_err(|error| undecodable(error.to_string()))?;
    if is_at_end(&mut deserializer) { Ok(value) } else { Err(undecodable("trailing bytes".to_owned())) }
}

/// The decoder does not say where it stands, but only at the end is there no further marker to read.
fn is_at_end<'payload>(
    deserializer: &mut rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'payload, [u8]>>,
) -> bool {
    let further = serde::de::IgnoredAny::deserialize(deserializer);
    matches!(further, Err(rmp_serde::decode::Error::InvalidMarkerRead(_)))
}

#[cfg(test)]
mod tests;
