use std::time::Duration;

use leat_service_runtime::{Invalid, Validate, within};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// What can be set, in section `[compressor]` or as `LEAT_COMPRESSOR__<FIELD>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The largest data set that is downloaded, in bytes. 256 MiB of CSV are about 1 GiB in memory while it is read.
    pub dataset_bytes_max: u64,
    /// The largest model that is downloaded, in bytes.
    pub model_bytes_max: u64,
    /// How long compression may show no sign of life, in milliseconds, before the job is left to another compressor.
    /// The shortest sign is an epoch of fine-tuning or the work on one layer.
    pub stall_ms: u64,
}

impl Settings {
    pub(crate) fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { dataset_bytes_max: 256 * MIB, model_bytes_max: 256 * MIB, stall_ms: 120_000 }
    }
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        within("dataset_bytes_max", self.dataset_bytes_max, 1..=1024 * MIB)?;
        within("model_bytes_max", self.model_bytes_max, 1..=1024 * MIB)?;
        within("stall_ms", self.stall_ms, 1_000..=86_400_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_limits_hold() {
        Settings::default().validate().unwrap();
        let too_large = Settings { model_bytes_max: u64::MAX, ..Settings::default() };
        assert!(too_large.validate().unwrap_err().to_string().contains("model_bytes_max"));
    }
}
