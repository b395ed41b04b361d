//! A value that must not be shown.

use serde::{Deserialize, Serialize, Serializer};

const REDACTED: &str = "[redacted]";

/// A password, token or key. It prints and serialises as `[redacted]`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Gives the value, for the one place that must use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Hides the user and password of every address in a comma-separated list (`nats://user:password@host:4222`).
pub(super) fn redact_urls<S: Serializer>(urls: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&redacted_urls(urls))
}

pub(super) fn redacted_urls(urls: &str) -> String {
    let redacted = |url: &str| {
        let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
        let Some((_, host)) = rest.rsplit_once('@') else { return url.to_owned() };
        let separator = if scheme.is_empty() { "" } else { "://" };
        format!("{scheme}{separator}{REDACTED}@{host}")
    };
    urls.split(',').map(redacted).collect::<Vec<_>>().join(",")
}
