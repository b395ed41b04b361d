//! What a worker must know of a request before it reads it: how long it may wait, how urgent it is, who is to answer it.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Parameters, PlainRequest};
use crate::{Encoding, Error, Scalar, codec, limits};

/// The parameter that says how urgent a request is, see [`Priority`].
const PRIORITY: &str = "priority";
/// The parameter that says how long a request may wait in the queue, in microseconds.
const TIMEOUT: &str = "timeout";
/// The parameter whose value decides which version answers: the same key gets the same version while the weights stay.
const STICKY_KEY: &str = "sticky_key";

/// All of them.
pub(super) const NAMES: [&str; 3] = [PRIORITY, TIMEOUT, STICKY_KEY];

/// JSON has no lengths, so finding what stands behind the data means reading all of it. From this size on that is done only when
/// there seems to be something; MessagePack data in `bin` is passed over at once, whatever its size.
const JSON_BYTES_READ_MAX: usize = 64 * 1024;
/// So much of the end of large JSON is looked at for that: far more than the envelope takes, and what stands before `inputs` is not in it.
const JSON_END_BYTES: usize = 16 * 1024;
/// And JSON up to this size: walking through takes about a millisecond for each MiB, before it is known whether the request is admitted.
const JSON_WALKED_MAX: usize = 4 * 1024 * 1024;

/// How urgent a request is. What is more urgent is answered first, and makes room for itself in a full queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// `priority` is 1.
    High,
    /// `priority` is 2, 0 or absent.
    #[default]
    Normal,
    /// `priority` is 3 or more.
    Low,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    const fn from_level(level: u64) -> Self {
        match level {
            1 => Self::High,
            0 | 2 => Self::Normal,
            _ => Self::Low,
        }
    }
}

/// The part of a request that matters while it waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// How long the caller waits, in milliseconds from receipt.
    pub deadline_ms: Option<u64>,
    /// How urgent it is.
    pub priority: Priority,
    /// How long it may wait in the queue, in microseconds from receipt.
    pub queue_timeout_us: Option<u64>,
    /// The key that decides which version answers.
    pub sticky_key: Option<String>,
}

impl Envelope {
    /// Finds the envelope in an encoded request without reading its data. What cannot be read counts as absent: reading the
    /// whole request says what is wrong with it. In JSON of more than 64 KiB what stands behind the data is found in the last 16 KiB,
    /// and in JSON of more than 4 MiB not at all.
    pub fn peek(payload: &[u8]) -> Self {
        let mut found = Self::default();
        if payload.len() > limits::PAYLOAD_BYTES_MAX || !may_have_one(payload) {
            return found;
        }
        if let Some(plain) = PlainRequest::read(payload) {
            return Self { deadline_ms: plain.deadline_ms, ..found };
        }
        let is_json = Encoding::detect(payload) == Ok(Encoding::Json);
        let stops_at_data = is_json && payload.len() > JSON_BYTES_READ_MAX && !may_end_with_one(payload);
        let seed = EnvelopeSeed { found: &mut found, stops_at_data };
        // A message that is broken further on is refused by whoever reads all of it.
        let _ = codec::decode_seed(payload, limits::PAYLOAD_BYTES_MAX, seed);
        found
    }

    /// The envelope of a request that was read.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one of the parameters has a value that means nothing.
    pub(super) fn of(deadline_ms: Option<u64>, parameters: &Parameters) -> Result<Self, Error> {
        let mut envelope = Self { deadline_ms, ..Self::default() };
        for name in NAMES {
            if let Some(value) = parameters.get(name) {
                envelope.set(name, value.clone())?;
            }
        }
        Ok(envelope)
    }

    fn set(&mut self, name: &str, value: Scalar) -> Result<(), Error> {
        match name {
            PRIORITY => self.priority = Priority::from_level(whole(PRIORITY, &value)?),
            TIMEOUT => {
                let timeout_us = whole(TIMEOUT, &value)?;
                // As in Triton, 0 is no timeout.
                self.queue_timeout_us = (timeout_us > 0).then_some(timeout_us);
            }
            STICKY_KEY => self.sticky_key = Some(value.to_string()),
            _ => {}
        }
        Ok(())
    }
}

fn whole(name: &'static str, value: &Scalar) -> Result<u64, Error> {
    let number = match value {
        Scalar::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let reason = || format!("{:?} is not a whole number from 0", value.to_string());
    number.ok_or_else(|| Error::invalid(name, reason()))
}

/// Most requests have neither; looking for the names is much cheaper than walking through the message.
fn may_have_one(payload: &[u8]) -> bool {
    static FIELDS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| ["deadline_ms", "parameters"].map(Finder::new));
    FIELDS.iter().any(|name| name.find(payload).is_some())
}

/// Whether the end of a payload names a part of the envelope.
fn may_end_with_one(payload: &[u8]) -> bool {
    if payload.len() > JSON_WALKED_MAX {
        return false;
    }
    let end = payload.get(payload.len().saturating_sub(JSON_END_BYTES)..).unwrap_or_default();
    let is_named = |name: &str| memmem::find(end, name.as_bytes()).is_some();
    ["deadline_ms"].iter().chain(&NAMES).any(|name| is_named(name))
}

struct EnvelopeSeed<'found> {
    found: &'found mut Envelope,
    stops_at_data: bool,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    DeadlineMs,
    Parameters,
    Inputs,
    Instances,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key()? {
            match field {
                Field::DeadlineMs => {
                    let deadline: Option<u64> = map.next_value()?;
                    self.found.deadline_ms =
                        deadline.filter(|deadline| (1..=limits::DEADLINE_MS_MAX).contains(deadline));
                }
                Field::Parameters => map.next_value_seed(ParametersSeed(self.found))?,
                Field::Inputs | Field::Instances if self.stops_at_data => return Ok(()),
                Field::Inputs | Field::Instances | Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct ParametersSeed<'found>(&'found mut Envelope);

impl<'de> DeserializeSeed<'de> for ParametersSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ParametersSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            match name {
                Some(name) => {
                    // What means nothing is refused when the whole request is read.
                    let _ = self.0.set(name, map.next_value::<Scalar>()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// One of the parameters that matter, or another one.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a parameter")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(NAMES.into_iter().find(|known| *known == name)))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

#[cfg(test)]
mod tests;
