//! Orders to one worker.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, WorkerId};

/// What a worker can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlVerb {
    /// Answer what was accepted, accept nothing more, then leave.
    Drain,
    /// Say that it is alive.
    Ping,
}

impl ControlVerb {
    /// Every verb.
    pub const ALL: [Self; 2] = [Self::Drain, Self::Ping];

    /// The token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Ping => "ping",
        }
    }
}

impl fmt::Display for ControlVerb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ControlVerb {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|verb| verb.as_str() == value);
        found.ok_or_else(|| Error::name("control verb", value, "one of drain, ping"))
    }
}

/// Asks a worker to drain. An empty payload means the same with the worker's own deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// How long requests in flight may still take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// Says that draining began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainReply {
    /// Who drains.
    pub worker: WorkerId,
    /// Requests that were accepted and will still be answered.
    pub inflight: u64,
}

/// Says that a worker is alive. The request has an empty payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PingReply {
    /// Who answers.
    pub worker: WorkerId,
    /// When it answered, in unix milliseconds.
    pub at: u64,
    /// Whether it accepts requests.
    pub ready: bool,
}
