use std::time::Duration;

use leat_service_runtime::{Invalid, Validate, within};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// What can be set, in section `[trainer]` or as `LEAT_TRAINER__<FIELD>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The largest data set that is downloaded, in bytes. 256 MiB of CSV are about 1 GiB in memory while it is read.
    pub dataset_bytes_max: u64,
    /// The least time between two checkpoints, in milliseconds. What was computed since the last one is lost when the
    /// trainer dies.
    pub checkpoint_ms: u64,
    /// How long training may show no sign of life, in milliseconds, before the job is left to another trainer. An epoch
    /// is the shortest sign, so this must be more than the longest epoch takes.
    pub stall_ms: u64,
}

impl Settings {
    pub(crate) fn checkpoint_every(&self) -> Duration {
        Duration::from_millis(self.checkpoint_ms)
    }

    pub(crate) fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { dataset_bytes_max: 256 * MIB, checkpoint_ms: 2_000, stall_ms: 120_000 }
    }
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        within("dataset_bytes_max", self.dataset_bytes_max, 1..=1024 * MIB)?;
        within("checkpoint_ms", self.checkpoint_ms, 0..=3_600_000)?;
        within("stall_ms", self.stall_ms, 1_000..=86_400_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_limits_hold() {
        Settings::default().validate().unwrap();
        let too_short = Settings { stall_ms: 10, ..Settings::default() };
        assert!(too_short.validate().unwrap_err().to_string().contains("stall_ms"));
    }
}
