//! A model and perhaps one of its versions, as people write it: `digits`, `digits@3`, `digits@production`.

use std::{borrow::Cow, fmt, num::NonZeroU32, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{AliasName, Error, ModelName};

/// The number of a version, 1 or more. The registry hands them out in order and never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelVersion(NonZeroU32);

impl ModelVersion {
    /// The version every model begins with.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// # Errors
    /// [`Error::Invalid`] for zero.
    pub fn new(number: u32) -> Result<Self, Error> {
        NonZeroU32::new(number)
            .map(Self)
            .ok_or_else(|| Error::invalid("model version", "versions begin with 1, found 0"))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The version after this one; none at the end of the numbers.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ModelVersion {
    type Err = Error;

    /// Only the decimal form without sign or leading zeros, so that one version has one subject.
    fn from_str(value: &str) -> Result<Self, Error> {
        let is_canonical = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
        let number = if is_canonical { value.parse().ok() } else { None };
        number
            .map(Self)
            .ok_or_else(|| Error::name("model version", value, "a decimal number from 1 to 4294967295"))
    }
}

impl TryFrom<u32> for ModelVersion {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self, Error> {
        Self::new(number)
    }
}

impl JsonSchema for ModelVersion {
    fn schema_name() -> Cow<'static, str> {
        "ModelVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// Which version of a model is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VersionRef {
    /// This one.
    Version(ModelVersion),
    /// The one an alias points at.
    Alias(AliasName),
}

impl fmt::Display for VersionRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(formatter),
            Self::Alias(alias) => alias.fmt(formatter),
        }
    }
}

impl FromStr for VersionRef {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        if value.starts_with(|first: char| first.is_ascii_digit()) {
            value.parse().map(Self::Version)
        } else {
            value.parse().map(Self::Alias)
        }
    }
}

/// A model and perhaps one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// The model.
    pub name: ModelName,
    /// The version, none when the text names only the model.
    pub version: Option<VersionRef>,
}

impl ModelName {
    /// One of its versions.
    ///
    /// ```
    /// use leat_contract::{ModelName, ModelVersion};
    /// assert_eq!(ModelName::new("digits")?.at(ModelVersion::new(3)?).to_string(), "digits@3");
    /// # Ok::<(), leat_contract::Error>(())
    /// ```
    pub fn at(&self, version: ModelVersion) -> ModelRef {
        ModelRef { name: self.clone(), version: Some(VersionRef::Version(version)) }
    }
}

impl From<ModelName> for ModelRef {
    fn from(name: ModelName) -> Self {
        Self { name, version: None }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            None => self.name.fmt(formatter),
            Some(version) => write!(formatter, "{}@{version}", self.name),
        }
    }
}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        match value.split_once('@') {
            None => Ok(Self { name: value.parse()?, version: None }),
            Some((name, version)) => Ok(Self { name: name.parse()?, version: Some(version.parse()?) }),
        }
    }
}

impl Serialize for ModelRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for ModelRef {
    fn schema_name() -> Cow<'static, str> {
        "ModelRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9_-]{0,62}(@([1-9][0-9]*|[a-z][a-z0-9_-]{0,62}))?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_model_a_version_and_an_alias() {
        for text in ["digits", "digits@3", "digits@production"] {
            assert_eq!(text.parse::<ModelRef>().unwrap().to_string(), text);
        }
        let version = "digits@3".parse::<ModelRef>().unwrap().version;
        assert_eq!(version, Some(VersionRef::Version(ModelVersion::new(3).unwrap())));
    }

    #[test]
    fn refuses_references_that_could_mean_two_things() {
        for bad in [
            "",
            "@",
            "@3",
            "digits@",
            "digits@0",
            "digits@03",
            "digits@+3",
            "digits@3@4",
            "digits@4294967296",
            "digits@P",
            "a.b@1",
        ] {
            assert!(bad.parse::<ModelRef>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_version_is_a_number_in_json_and_never_zero() {
        assert_eq!(serde_json::to_string(&ModelVersion::FIRST).unwrap(), "1");
        assert!(serde_json::from_str::<ModelVersion>("0").is_err());
        assert_eq!(ModelVersion::new(u32::MAX).unwrap().next(), None);
    }
}
