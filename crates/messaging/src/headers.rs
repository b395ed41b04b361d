//! Message headers, which can be filled from any text without breaking the protocol.

use std::str::FromStr;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};

/// How the headers begin that the broker itself reads.
const INSTRUCTION_PREFIX: &str = "Nats-";

/// The headers of a message to send.
///
/// Line breaks in a value become spaces, so that a value can neither end its header nor start another.
#[derive(Debug, Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The headers, with one more. A name that no NATS server would accept is left out.
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets a header, replacing what stood under its name.
    pub fn insert(&mut self, name: &str, value: impl AsRef<str>) {
        if name.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_str(name), one_line(value.as_ref())) {
            self.0.insert(name, value);
        }
    }

    /// The last value set under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        lookup(&self.0, name)
    }

    /// Takes everything out by which the broker is told what to do with a message: those headers were meant for the
    /// stream it was first sent to.
    pub(crate) fn without_instructions(self) -> Self {
        let mut kept = HeaderMap::new();
        for (name, values) in self.0.iter().filter(|(name, _)| !is_instruction(name.as_ref())) {
            for value in values {
                kept.append(name.clone(), value.clone());
            }
        }
        Self(kept)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_map(self) -> Option<HeaderMap> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Self(map)
    }
}

/// A header of a received message, by any name: an invalid one is simply not there.
pub(crate) fn lookup<'a>(map: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let name = HeaderName::from_str(name).ok()?;
    map.get_last(name).map(HeaderValue::as_str)
}

fn is_instruction(name: &str) -> bool {
    name.get(..INSTRUCTION_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(INSTRUCTION_PREFIX))
}

fn one_line(value: &str) -> Result<HeaderValue, async_nats::header::ParseHeaderValueError> {
    if value.contains(['\r', '\n']) {
        return HeaderValue::from_str(&value.replace(['\r', '\n'], " "));
    }
    HeaderValue::from_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_smuggle_another_header() {
        let headers = Headers::new().with("Reason", "bad\r\nNats-Rollup: all");
        assert_eq!(headers.get("Reason"), Some("bad  Nats-Rollup: all"));
        assert_eq!(headers.get("Nats-Rollup"), None);
    }

    #[test]
    fn instructions_for_the_broker_can_be_taken_out() {
        let headers =
            Headers::new().with("Nats-Msg-Id", "1").with("nats-rollup", "all").with("traceparent", "00");
        let kept = headers.without_instructions();
        assert_eq!(
            (kept.get("Nats-Msg-Id"), kept.get("nats-rollup"), kept.get("traceparent")),
            (None, None, Some("00"))
        );
    }

    #[test]
    fn an_impossible_name_is_left_out() {
        let headers = Headers::new().with("two words:", "value").with("", "value");
        assert_eq!(headers.get("two words:"), None);
    }
}
