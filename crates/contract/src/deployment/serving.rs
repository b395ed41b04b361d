//! How requests to a model are handled: batches, limits, what is recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::limits::{self, check_limit};

/// How requests are gathered into batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Batching {
    /// Rows of one run, at most.
    pub max_size: u32,
    /// How long to wait for more rows, in microseconds. 0 takes what is ready. No request waits for more than half of the time that
    /// it may wait at all (`deadline_ms`, `timeout`, `limits.queue_wait_max_ms`), and one that has less time than those before it ends the wait.
    pub max_delay_us: u32,
    /// Rows that end the wait before its time, as far as they can be told before a request is read: fewer than `max_size` make a good batch
    /// already. None waits for `max_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_size: Option<u32>,
}

impl Batching {
    /// The longest wait that can be asked for, one second.
    pub const DELAY_US_MAX: u32 = 1_000_000;

    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.max_size == 0 {
            return Err(Error::invalid("batching.max_size", "0 is not 1 or more"));
        }
        check_limit("batching.max_size in rows", self.max_size.into(), limits::ROWS_MAX as u64)?;
        check_limit("batching.max_delay_us", self.max_delay_us.into(), Self::DELAY_US_MAX.into())?;
        let is_possible = |size: u32| (1..=self.max_size).contains(&size);
        match self.preferred_size {
            Some(size) if !is_possible(size) => {
                let reason = format!("{size} is not from 1 to batching.max_size, {}", self.max_size);
                Err(Error::invalid("batching.preferred_size", reason))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self { max_size: 64, max_delay_us: 0, preferred_size: None }
    }
}

/// What a worker refuses as overloaded. Every limit is for one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeploymentLimits {
    /// Requests that may wait.
    pub queue_max: u32,
    /// Bytes of the requests that wait.
    #[serde(skip_serializing_if = "is_default_queue_bytes")]
    pub queue_bytes_max: u64,
    /// How long a request may wait, in milliseconds. One that would wait longer, as far as the worker can tell, is refused
    /// at once, and so is one whose deadline would pass before.
    #[serde(skip_serializing_if = "is_default_queue_wait")]
    pub queue_wait_max_ms: u32,
}

impl DeploymentLimits {
    const QUEUE_BYTES_MAX: u64 = 64 * 1024 * 1024;
    /// As long as most clients wait for an answer.
    const QUEUE_WAIT_MAX_MS: u32 = 5_000;

    pub(super) fn validate(&self) -> Result<(), Error> {
        let fields = [
            ("limits.queue_max", u64::from(self.queue_max)),
            ("limits.queue_bytes_max", self.queue_bytes_max),
            ("limits.queue_wait_max_ms", u64::from(self.queue_wait_max_ms)),
        ];
        for (field, value) in fields {
            if value == 0 {
                return Err(Error::invalid(field, "0 is not 1 or more"));
            }
        }
        check_limit("limits.queue_wait_max_ms", self.queue_wait_max_ms.into(), limits::DEADLINE_MS_MAX)
    }
}

impl Default for DeploymentLimits {
    fn default() -> Self {
        Self {
            queue_max: 1024,
            queue_bytes_max: Self::QUEUE_BYTES_MAX,
            queue_wait_max_ms: Self::QUEUE_WAIT_MAX_MS,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_default_queue_bytes(bytes: &u64) -> bool {
    *bytes == DeploymentLimits::QUEUE_BYTES_MAX
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_default_queue_wait(milliseconds: &u32) -> bool {
    *milliseconds == DeploymentLimits::QUEUE_WAIT_MAX_MS
}

/// Answers that a worker keeps, to give them again to the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caching {
    /// Bytes of rows and answers on one worker, at most.
    pub bytes_max: u64,
}

impl Caching {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let bytes = self.bytes_max;
        if bytes >= 1024 {
            return Ok(());
        }
        Err(Error::invalid("cache.bytes_max", format!("{bytes} is not 1024 or more")))
    }
}

/// Which predictions are recorded. Only requests with an id can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// The share of requests with an id, 0 to 1.
    pub ratio: f64,
}

impl Default for Recording {
    fn default() -> Self {
        Self { ratio: 1.0 }
    }
}
