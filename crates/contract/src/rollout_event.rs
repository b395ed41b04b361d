//! What became of a canary.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, ModelName, ModelVersion};

/// A canary that ended by itself. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutEvent {
    /// The model.
    pub model: ModelName,
    /// The version that was tried.
    pub version: ModelVersion,
    /// What became of it.
    pub what: RolloutEnd,
    /// When.
    pub at: u64,
    /// Requests of the canary that were judged.
    pub requests: u64,
    /// Why, for a person.
    pub reason: String,
}

/// What became of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutEnd {
    /// It got the live route.
    Promoted,
    /// It was worse than the others and lost its share.
    RolledBack,
}

impl RolloutEnd {
    /// Every end.
    pub const ALL: [Self; 2] = [Self::Promoted, Self::RolledBack];

    /// The token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl fmt::Display for RolloutEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for RolloutEnd {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|end| end.as_str() == value);
        found.ok_or_else(|| Error::name("rollout event", value, "one of promoted, rolled_back"))
    }
}
