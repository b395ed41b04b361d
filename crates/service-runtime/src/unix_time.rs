//! The time as documents and messages hold it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds now. A clock before 1970 counts as 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_in_milliseconds_since_1970() {
        let first_of_2024_ms = 1_704_067_200_000;
        let first_of_2200_ms = 7_258_118_400_000;
        assert!((first_of_2024_ms..first_of_2200_ms).contains(&unix_ms()));
    }
}
