//! Names and ids: text with a grammar, checked once where it enters.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, limits};

/// Writes the trait implementations of a text with a grammar. A function cannot implement traits, hence the macro.
macro_rules! text_with_grammar {
    ($(#[$documentation:meta])* $name:ident, $what:literal, $pattern:literal, $rule:literal, $accepts:path) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The grammar as a regular expression, as published in the JSON Schemas.
            pub const PATTERN: &'static str = $pattern;

            /// Checks the grammar.
            ///
            /// # Errors
            /// [`Error::Name`] with the grammar in words.
            pub fn new(value: impl Into<String>) -> Result<Self, Error> {
                let value = value.into();
                if $accepts(&value) { Ok(Self(value)) } else { Err(Error::name($what, &value, $rule)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(value: &str) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(value: String) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $rule })
            }
        }
    };
}

text_with_grammar!(
    /// The name of a model, `[a-z0-9][a-z0-9_-]{0,62}`: one token of a subject and of a key.
    ModelName,
    "model name",
    "^[a-z0-9][a-z0-9_-]{0,62}$",
    "1 to 63 characters of a-z, 0-9, '_' and '-', the first a letter or digit",
    is_model_name
);

text_with_grammar!(
    /// The name of an alias such as `production`: like a model name, but it begins with a letter so that it is no version.
    AliasName,
    "alias",
    "^[a-z][a-z0-9_-]{0,62}$",
    "1 to 63 characters of a-z, 0-9, '_' and '-', the first a letter",
    is_alias_name
);

text_with_grammar!(
    /// The id of a job: one token of a subject and of a key.
    JobId,
    "job id",
    "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    "1 to 63 characters of A-Z, a-z, 0-9, '_' and '-', the first a letter or digit",
    is_token
);

text_with_grammar!(
    /// The id of one running worker: one token of a subject and of a key.
    WorkerId,
    "worker id",
    "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    "1 to 63 characters of A-Z, a-z, 0-9, '_' and '-', the first a letter or digit",
    is_token
);

text_with_grammar!(
    /// The id a producer gives a request, 1 to 128 visible ASCII characters. Labels name it later.
    RequestId,
    "request id",
    "^[!-~]{1,128}$",
    "1 to 128 visible ASCII characters",
    is_request_id
);

text_with_grammar!(
    /// The SHA-256 of some bytes, `sha256-` and 64 lower-case hexadecimal digits: the name of a blob.
    Digest,
    "digest",
    "^sha256-[0-9a-f]{64}$",
    "'sha256-' followed by 64 lower-case hexadecimal digits",
    is_digest
);

fn is_model_name(value: &str) -> bool {
    is_token(value) && !value.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_alias_name(value: &str) -> bool {
    is_model_name(value) && value.starts_with(|first: char| first.is_ascii_lowercase())
}

fn is_token(value: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    value.len() <= limits::NAME_CHARACTERS_MAX
        && value.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && value.bytes().all(is_word)
}

fn is_request_id(value: &str) -> bool {
    (1..=limits::REQUEST_ID_CHARACTERS_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_digest(value: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    value.strip_prefix("sha256-").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_digit))
}

#[cfg(test)]
mod tests;
