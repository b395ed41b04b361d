//! The NATS micro protocol (ADR-32): how `nats micro ls`, `info` and `stats` find a service.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MicroVerb {
    /// Who is there.
    Ping,
    /// Which endpoints there are.
    Info,
    /// How busy they are.
    Stats,
}

impl MicroVerb {
    /// Every verb.
    pub const ALL: [Self; 3] = [Self::Ping, Self::Info, Self::Stats];

    /// The token in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Info => "INFO",
            Self::Stats => "STATS",
        }
    }

    /// The three subjects on which an instance answers: everybody, its name, itself.
    pub fn subjects(self, name: &str, id: &str) -> [String; 3] {
        [format!("$SRV.{self}"), format!("$SRV.{self}.{name}"), format!("$SRV.{self}.{name}.{id}")]
    }
}

impl fmt::Display for MicroVerb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The `type` of a ping reply.
pub const PING_TYPE: &str = "io.nats.micro.v1.ping_response";
/// The `type` of an info reply.
pub const INFO_TYPE: &str = "io.nats.micro.v1.info_response";
/// The `type` of a stats reply.
pub const STATS_TYPE: &str = "io.nats.micro.v1.stats_response";

/// Who a service instance is: the fields that all three replies share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MicroIdentity {
    /// The kind of service, `[A-Za-z0-9_-]+`.
    pub name: String,
    /// This instance.
    pub id: String,
    /// Semantic version of the service.
    pub version: String,
    /// Facts that do not change while it runs.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The reply to `$SRV.PING`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MicroPing {
    /// [`PING_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Who answers.
    #[serde(flatten)]
    pub identity: MicroIdentity,
}

impl MicroPing {
    /// The reply of an instance.
    pub fn new(identity: MicroIdentity) -> Self {
        Self { kind: PING_TYPE.to_owned(), identity }
    }
}

/// The reply to `$SRV.INFO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MicroInfo {
    /// [`INFO_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Who answers.
    #[serde(flatten)]
    pub identity: MicroIdentity,
    /// What it does, for a person.
    pub description: String,
    /// Where it answers.
    pub endpoints: Vec<MicroEndpoint>,
}

impl MicroInfo {
    /// The reply of an instance.
    pub fn new(identity: MicroIdentity, description: String, endpoints: Vec<MicroEndpoint>) -> Self {
        Self { kind: INFO_TYPE.to_owned(), identity, description, endpoints }
    }
}

/// One endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MicroEndpoint {
    /// Its name, `[A-Za-z0-9_-]+`.
    pub name: String,
    /// Where it listens.
    pub subject: String,
    /// The group that shares the requests, empty for none.
    pub queue_group: String,
    /// Facts about the endpoint; for inference: model, version, digest.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The reply to `$SRV.STATS`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MicroStats {
    /// [`STATS_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Who answers.
    #[serde(flatten)]
    pub identity: MicroIdentity,
    /// When the instance started, RFC 3339 in UTC: the one time on the wire that is text, because ADR-32 says so.
    pub started: String,
    /// The figures of each endpoint.
    pub endpoints: Vec<MicroEndpointStats>,
}

impl MicroStats {
    /// The reply of an instance.
    pub fn new(identity: MicroIdentity, started: String, endpoints: Vec<MicroEndpointStats>) -> Self {
        Self { kind: STATS_TYPE.to_owned(), identity, started, endpoints }
    }
}

/// The figures of one endpoint since the instance started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MicroEndpointStats {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub subject: String,
    /// The group that shares the requests, empty for none.
    pub queue_group: String,
    /// Requests received.
    pub num_requests: u64,
    /// Requests answered with an error.
    pub num_errors: u64,
    /// The last error, empty when there was none.
    pub last_error: String,
    /// Nanoseconds spent on all requests.
    pub processing_time: u64,
    /// Nanoseconds per request.
    pub average_processing_time: u64,
    /// Figures of the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}
